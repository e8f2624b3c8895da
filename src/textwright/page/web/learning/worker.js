// A worker of a training in the tab: does what a `Learner` asks, one thing after the other.
//
// Asked {id, kind, …}, it answers {id, value} or {id, problem, values}: in English, to be translated.

import { doTask } from "./evaluation.js";
import { Member } from "./member.js";
import { Team } from "./team.js";
import { compiled } from "./wasm.js";

const transferable = (tensors) => Object.values(tensors).map(({ data }) => data.buffer);

const KINDS = {
  async open(own, { index, ports, wasm, ...training }) {
    own.team = new Team(ports, index);
    own.member = new Member(await compiled(wasm), own.team, training);
    return [{ bytes: own.member.engine.memory.buffer.byteLength }];
  },
  async steps({ member }, { milliseconds, most }) {
    const losses = [];
    const until = performance.now() + milliseconds;
    do losses.push(await member.learn(losses.length + 1 < most && performance.now() < until));
    while (member.more);
    return [{ step: member.step, losses: Float64Array.from(losses) }];
  },
  async text(own, { tokens }) {
    own.text = tokens;
    return [null];
  },
  async evaluate(own, { tasks }) {
    return [tasks.map((task) => doTask(own.member, own.text, task))];
  },
  async weights({ member }) {
    const stored = member.stored();
    return [stored, transferable(stored)];
  },
  async tensors({ member }) {
    const found = member.tensors();
    return [found, transferable(found.tensors)];
  },
  async rate({ member }, { factor }) {
    member.factor = factor;
    return [null];
  },
};

/** Listens to what `scope` (a worker's global) is told, and answers there. */
export function serve(scope) {
  const own = {};
  let last = Promise.resolve();
  const answer = async ({ id, kind, ...asked }) => {
    try {
      const [value, transfer = []] = await KINDS[kind](own, asked);
      scope.postMessage({ id, value }, transfer);
    } catch (error) {
      scope.postMessage({ id, problem: error.message, values: error.cause });
    }
  };
  scope.onmessage = ({ data }) => {
    last = last.then(() => answer(data));
  };
}

if (typeof WorkerGlobalScope !== "undefined") serve(globalThis);
