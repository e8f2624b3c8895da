// A text with its branches, as one value that is never changed in place.
//
// {id, model, name, star, auto, made, changed, last, current, nodes}. A node is one way the text goes:
// {id, parent, at, tokens, name, star, seed, temperature, reason, begun}: all tokens from the
// beginning; `at` is the character at which it leaves its parent; `begun`: where the model began last.

import { edited, headOf, joined } from "./tokens.js";
import { t } from "../words.js";

export function newText({ id, model, now, tokens = [], auto = false }) {
  return { id, model, name: "", star: false, auto, made: now, changed: now, last: 1, current: 1, nodes: [{ id: 1, parent: null, at: 0, tokens }] };
}

export const nodeOf = (text, id) => text.nodes.find((node) => node.id === id) ?? text.nodes[0];
export const current = (text) => nodeOf(text, text.current);
export const words = (text) => joined(current(text).tokens);

/** The text with a node's fields changed. */
export function withNode(text, id, changes) {
  return { ...text, nodes: text.nodes.map((node) => (node.id === id ? { ...node, ...changes } : node)) };
}

/** The text with tokens appended to a node. */
export function appended(text, id, tokens) {
  return withNode(text, id, { tokens: [...nodeOf(text, id).tokens, ...tokens] });
}

/** The text after an edit of its current branch; branches that left it behind the edit stand alone. */
export function typed(text, { from, to, inserted }) {
  const node = current(text);
  const nodes = text.nodes.map((other) => (other.parent === node.id && other.at > from ? { ...other, parent: node.parent, at: Math.min(node.at, from) } : other));
  return withNode({ ...text, nodes, auto: false }, node.id, { tokens: edited(node.tokens, from, to, inserted), begun: undefined, reason: undefined });
}

/** The text with a new branch that leaves the current one at a character, and is the current one. */
export function branched(text, at, tokens, fields = {}) {
  const id = text.last + 1;
  const from = current(text);
  const kept = edited(from.tokens, at, Infinity, "");
  const node = { id, parent: from.id, at, tokens: [...kept, ...tokens], ...fields };
  return { ...text, auto: false, last: id, current: id, nodes: [...text.nodes, node] };
}

/** The text without a branch and those that grew from it; the last one can't go. */
export function pruned(text, id) {
  const gone = new Set([id]);
  for (let before = 0; before !== gone.size;) {
    before = gone.size;
    for (const node of text.nodes) if (gone.has(node.parent)) gone.add(node.id);
  }
  const nodes = text.nodes.filter((node) => !gone.has(node.id));
  if (!nodes.length) return text;
  const parent = nodeOf(text, id).parent;
  return { ...text, nodes, current: gone.has(text.current) ? (nodes.some((node) => node.id === parent) ? parent : nodes[0].id) : text.current };
}

/** What a text is called: its name, or its first words. */
export function titleOf(text, otherwise = "…") {
  return text.name || headOf(current(text).tokens, 200).replace(/\s+/g, " ").trim().slice(0, 48) || otherwise;
}

/** The first words of a branch after it left its parent. */
export function opening(node, length = 60) {
  return joined(node.tokens).slice(node.parent === null ? 0 : node.at, node.at + length + 40).replace(/\s+/g, " ").trim().slice(0, length) || "…";
}

/** The index in a branch's tokens of the first one of its own. */
export function firstOwn(node) {
  let place = 0;
  for (let index = 0; index < node.tokens.length; index++) {
    if (place >= node.at) return index;
    place += node.tokens[index].text.length;
  }
  return node.tokens.length;
}

// Undo: what a text was, by its branches and which of them is current

const MOST = 200;
const TOGETHER = 900; // milliseconds within which letters are one step

export const noHistory = { past: [], future: [], kind: "", when: 0 };

/** The history with `text` as it was before a change of a `kind`. */
export function remembered(history, text, kind, now) {
  const together = kind === "type" && history.kind === "type" && now - history.when < TOGETHER;
  const past = together ? history.past : [...history.past, moment(text)].slice(-MOST);
  return { past, future: [], kind, when: now };
}

const moment = ({ nodes, current: at, last, name }) => ({ nodes, current: at, last, name });

/** {text, history} one step back, or null. */
export function undone(history, text) {
  if (!history.past.length) return null;
  const past = history.past.slice(0, -1);
  return { text: { ...text, ...history.past.at(-1) }, history: { past, future: [moment(text), ...history.future], kind: "", when: 0 } };
}

/** {text, history} one step forward, or null. */
export function redone(history, text) {
  if (!history.future.length) return null;
  const [next, ...future] = history.future;
  return { text: { ...text, ...next }, history: { past: [...history.past, moment(text)], future, kind: "", when: 0 } };
}

// As a file

/** The texts that are worth taking along: starred, or with a branch that is. */
export const chosen = (texts) => texts.filter(({ star, nodes }) => star || nodes.some((node) => node.star));

const FORMAT = "textwright text 1";

export function toFile(text) {
  return JSON.stringify({ format: FORMAT, ...text });
}

/** The text of a file; throws where it is none. */
export function fromFile(content, id, now) {
  let read;
  try {
    read = JSON.parse(content);
  } catch {
    read = null;
  }
  const whole = read?.format === FORMAT && Array.isArray(read.nodes) && read.nodes.length && read.nodes.every((node) => Number.isInteger(node.id) && Number.isInteger(node.at) && Array.isArray(node.tokens) && node.tokens.every((token) => typeof token.text === "string"));
  if (!whole) throw new Error(t("That file holds no text that was saved here."));
  const { format, ...text } = read;
  const parents = new Set(text.nodes.map((node) => node.id));
  const nodes = text.nodes.map((node) => ({ ...node, parent: parents.has(node.parent) && node.parent < node.id ? node.parent : null }));
  return { ...newText({ id, model: String(text.model), now }), name: String(text.name ?? "").slice(0, 200), star: Boolean(text.star), last: Math.max(...parents), current: parents.has(text.current) ? text.current : nodes[0].id, nodes };
}
