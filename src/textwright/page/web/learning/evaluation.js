// The loss over a whole text: as textwright/training/loop/evaluation.py, in tasks that any worker may do,
// and whose results are added in their order.

import { RECIPES } from "./recipes.js";

const { streams: STREAMS, stream_warmup: WARMUP } = RECIPES;
const AT_ONCE = 16;
const CHUNK = 64;

/**
 * What `evaluate(tokens, {limit})` reads, in tasks: {kind: "windows", starts, length}, or
 * {kind: "streams", starts, each, rest} of stretches of `each` tokens side by side.
 */
export function tasksOf(config, length, limit = 0) {
  if (length < 2) throw new Error("the text to evaluate on has fewer than two tokens; give it more");
  return config.family === "gpt" ? windows(config.block_size, length - 1, limit) : streams(length, limit);
}

function windows(window, predictions, limit) {
  let ends = [];
  for (let end = Math.min(window, predictions); end < predictions; end += window) ends.push(end);
  ends.push(predictions);
  const inPart = limit > 0 && limit < predictions;
  if (inPart) {
    const kept = Math.max(1, Math.floor(limit / window));
    const last = ends.length - 1;
    ends = Array.from({ length: kept }, (_, i) => ends[halfToEven((i * last) / kept)]);
  }
  const groups = new Map();
  let previous = 0;
  for (const end of ends) {
    const start = inPart ? Math.max(0, end - window) : previous;
    if (!groups.has(end - start)) groups.set(end - start, []);
    groups.get(end - start).push(start);
    previous = end;
  }
  const tasks = [];
  for (const [length, starts] of groups) {
    const atOnce = Math.max(1, Math.floor(1024 / length));
    for (let first = 0; first < starts.length; first += atOnce) tasks.push({ kind: "windows", starts: starts.slice(first, first + atOnce), length });
  }
  return tasks;
}

/** The nearest whole number, of two the even one, as Python's `round`. */
function halfToEven(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 ? low + 1 : low;
}

function streams(length, limit) {
  const predictions = Math.min(limit || length, length - 1);
  const count = Math.max(1, Math.min(STREAMS, Math.floor(predictions / (4 * WARMUP))));
  const each = Math.floor(predictions / count);
  const starts = Array.from({ length: count }, (_, place) => place * each);
  const tasks = [];
  for (let first = 0; first < count; first += AT_ONCE) tasks.push({ kind: "streams", starts: starts.slice(first, first + AT_ONCE), each, rest: 0 });
  tasks.at(-1).rest = predictions - count * each;
  return tasks;
}

/** Does a task with the weights of a `Member`: {loss, count}, the sum and how many tokens it is of. */
export function doTask(member, tokens, task) {
  const { end } = member.engine;
  try {
    return (task.kind === "windows" ? readWindows : readStreams)(member, tokens, task);
  } finally {
    member.engine.release(end);
  }
}

const counted = (rows) => rows.reduce((sum, row) => sum + row.subarray(1).reduce((some, token) => some + (token >= 0 ? 1 : 0), 0), 0);

function readWindows(member, tokens, { starts, length }) {
  const model = member.makeModel(starts.length, Math.ceil(length / 16) * 16);
  const rows = starts.map((start) => tokens.subarray(start, start + length + 1));
  return { loss: model.forward(rows, null), count: counted(rows) };
}

function readStreams(member, tokens, { starts, each, rest }) {
  const model = member.makeModel(starts.length, CHUNK);
  const state = model.initialState();
  const found = { loss: 0, count: 0 };
  const first = starts[0] ? 0 : 1; // the text's beginning has nothing before it
  for (let at = -WARMUP; at < 0 && starts.length > first; at += CHUNK) {
    model.forward(starts.map((start) => tokens.subarray(Math.max(0, start + at), Math.max(0, start + at) + CHUNK + 1)), state);
  }
  if (first) for (const part of Object.values(state)) part.fill(0, 0, part.length / starts.length);
  const read = (of, rows, before) => {
    found.loss += of.forward(rows, before);
    found.count += counted(rows);
  };
  for (let at = 0; at < each; at += CHUNK) read(model, starts.map((start) => tokens.subarray(start + at, start + Math.min(at + CHUNK, each) + 1)), state);
  if (!rest) return found;
  const alone = member.makeModel(1, CHUNK);
  const last = Object.fromEntries(Object.entries(state).map(([name, part]) => [name, part.slice(-part.length / starts.length)]));
  const [begin, finish] = [starts.at(-1) + each, starts.at(-1) + each + rest];
  for (let at = begin; at < finish; at += CHUNK) read(alone, [tokens.subarray(at, Math.min(at + CHUNK, finish) + 1)], last);
  return found;
}
