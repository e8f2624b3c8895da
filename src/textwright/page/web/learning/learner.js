// A model that learns in this tab: what a page has of it. The work is done by workers (worker.js).

import { later, t } from "../words.js";
import { tasksOf } from "./evaluation.js";
import { parametersOf, refusal, shardsOf } from "./parameters.js";

/** What workers say, who speak no language. */
export const PROBLEMS = [
  later("this browser has too little memory for this model; take a smaller one"),
  later("these weights don't fit the model: {name}"),
  later("this checkpoint doesn't fit the model: {name} is missing"),
];

/** Whether a tab can train a model of this config. */
export function learns(config) {
  return refusal(config) === null;
}

/** One worker, which answers what it is asked in the order of the questions. */
class Asked {
  constructor(worker, failed) {
    this.worker = worker;
    this.open = new Map();
    this.last = 0;
    worker.onmessage = ({ data: { id, value, problem, values } }) => {
      const { resolve, reject } = this.open.get(id);
      this.open.delete(id);
      if (problem === undefined) resolve(value);
      else reject(new Error(t(problem, values)));
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      failed(new Error(event.message ? t("training stopped: {reason}", { reason: event.message }) : t("training stopped: its worker couldn't be started")));
    };
  }

  ask(kind, asked = {}, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = ++this.last;
      this.open.set(id, { resolve, reject });
      this.worker.postMessage({ id, kind, ...asked }, transfer);
    });
  }

  end(error) {
    for (const { reject } of this.open.values()) reject(error);
    this.open.clear();
    this.worker.terminate();
  }
}

/** All of its methods queue one after another. An Error has one line. */
export class Learner {
  /**
   * recipe: {model, training, course}: the page's config, the settings of a training, its legs
   * [[begin, steps], …]. tokens: an array of whole numbers, the training text. tensors: of a checkpoint, {name:
   * {shape, data}} as training/loop/learner.py names them, or null. weights: to begin from, as
   * model.safetensors names them, or null. makeWorker: gives a Worker of worker.js. wasm: the
   * engine's bytes or its WebAssembly.Module. workers: how many, at most one a shard.
   */
  static async open({ recipe, tokens, tensors = null, weights = null, step = 0, makeWorker, wasm, workers = 1 }) {
    const reason = refusal(recipe.model);
    if (reason) throw new Error(reason);
    if (recipe.training.ema_decay) throw new Error(t("a tab doesn't train with an average of the weights; set training.ema_decay to 0"));
    const learner = new Learner(recipe, makeWorker, Math.max(1, Math.min(workers, shardsOf(recipe.model, recipe.training))));
    try {
      await learner.start({ recipe, tokens, tensors, weights, step, wasm });
    } catch (error) {
      learner.close();
      throw error;
    }
    return learner;
  }

  constructor(recipe, makeWorker, count) {
    this.recipe = recipe;
    this.queue = Promise.resolve();
    this.problem = null;
    this.workers = Array.from({ length: count }, () => new Asked(makeWorker(), (error) => this.fail(error)));
  }

  start(training) {
    const ports = this.workers.map(() => this.workers.map(() => null));
    this.workers.forEach((_, one) => {
      for (let other = one + 1; other < this.workers.length; other++) {
        const channel = new MessageChannel();
        [ports[one][other], ports[other][one]] = [channel.port1, channel.port2];
      }
    });
    return this.inTurn(async () => {
      const opened = await this.all("open", (index) => [{ index, ports: ports[index], ...training }, ports[index].filter(Boolean)]);
      this.bytes = opened.reduce((sum, { bytes }) => sum + bytes, 0);
    });
  }

  /** Learns until the time is over or `most` steps are done, at least one: {step, losses (Float64Array)}. */
  steps({ milliseconds = Infinity, most = Infinity } = {}) {
    return this.inTurn(async () => {
      try {
        return (await this.all("steps", () => [{ milliseconds, most }]))[0];
      } catch (error) {
        this.fail(error); // the others wait for the one that failed
        throw error;
      }
    });
  }

  /** The mean loss of the tokens of a text, which the workers keep: {loss, count}; limit: how many are read, 0 for all. */
  evaluate(tokens, { limit = 0, signal } = {}) {
    return this.inTurn(async () => {
      const tasks = tasksOf(this.recipe.model, tokens.length, limit);
      const found = new Array(tasks.length);
      let next = 0;
      await Promise.all(this.workers.map(async (worker) => {
        if (worker.text !== tokens) await worker.ask("text", { tokens: (worker.text = tokens) });
        while (next < tasks.length) {
          signal?.throwIfAborted();
          const place = next++;
          found[place] = (await worker.ask("evaluate", { tasks: [tasks[place]] }))[0];
        }
      }));
      const count = found.reduce((sum, one) => sum + one.count, 0);
      if (!count) throw new Error(t("no token of the text to evaluate on counts in the loss; give it more"));
      return { loss: found.reduce((sum, one) => sum + one.loss, 0) / count, count };
    });
  }

  /** The weights, {name: {shape, data}} as model.safetensors. */
  weights() {
    return this.inTurn(() => this.workers[0].ask("weights"));
  }

  /** All that a checkpoint holds, {name: {shape, data}}. */
  tensors() {
    return this.inTurn(async () => {
      const told = await this.all("tensors", () => [{}]);
      const found = Object.assign({}, ...told.map(({ tensors }) => tensors));
      const states = told.flatMap((one) => one.states);
      for (const name of Object.keys(states[0])) {
        const data = Float32Array.from(states.flatMap((state) => Array.from(state[name])));
        const samples = this.recipe.training.batch_size;
        found[`state/${name}`] = { shape: [samples, data.length / samples], data };
      }
      return found;
    });
  }

  /** Multiplies the learning rates of all steps from now on; 1 is as planned. */
  setRate(factor) {
    return this.inTurn(() => this.all("rate", () => [{ factor }]));
  }

  /** How many numbers the model learns. */
  get parameters() {
    return parametersOf(this.recipe.model).list.reduce((sum, { count }) => sum + count, 0);
  }

  close() {
    this.fail(new Error(t("training was closed")));
  }

  fail(error) {
    this.problem ??= error;
    for (const worker of this.workers) worker.end(this.problem);
  }

  all(kind, asked) {
    return Promise.all(this.workers.map((worker, index) => worker.ask(kind, ...asked(index))));
  }

  inTurn(task) {
    const done = this.queue.then(() => {
      if (this.problem) throw this.problem;
      return task();
    });
    this.queue = done.catch(() => {});
    return done;
  }
}
