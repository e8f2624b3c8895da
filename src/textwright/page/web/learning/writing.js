// What a model that learns writes just now, by the page's own runtime: what is shown is what one gets.

import { Writer } from "../runtime/writer.js";
import { Characters } from "./characters.js";
import { parameterCount, streams } from "./config.js";
import { RECIPES } from "./recipes.js";

const SEED = 1; // the same each time, so that one sees the model learn
const TEMPERATURE = RECIPES.sampling.temperature; // of what is written at evaluations
const PAUSE = 1500; // milliseconds between two samples at least
const SHARE = 10; // a sample takes at most so great a part of the time
const SHOWN = 120; // tokens of it

/** A model as `page/packing.py` describes it, but for its weights. */
export function dataOf({ name, config, tokens }, tables) {
  const characters = new Characters(tokens);
  return {
    name, config,
    about: {
      family: config.family, parameters: parameterCount(config), tokenizer: "char", vocab_size: config.vocab_size,
      block_size: streams(config) ? null : config.block_size, talks: false, beginnings: [],
    },
    tokenizer: characters.data(tables), start: characters.start, ends: [], suppressed: [],
  };
}

/** The tokens that a model writes; weights: {name: {shape, data}}. */
export async function written({ data, weights, prompt = "", count, temperature }) {
  const writer = new Writer(data, Object.fromEntries(Object.entries(weights).map(([name, { data: numbers }]) => [name, numbers])));
  const asked = { temperature, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: SEED, maxTokens: count, stop: [] };
  const tokens = [];
  for await (const { token } of writer.write(prompt, asked, null)) if (token) tokens.push(token);
  return tokens;
}

/** The samples of a training, at its evaluations and between them. */
export class Writing {
  constructor(training) {
    Object.assign(this, { training, due: 0, open: null });
  }

  /** The sample of an evaluation. */
  whole(weights) {
    return this.write(weights, this.training.settings.training.sample_tokens, TEMPERATURE);
  }

  /** One between evaluations, where it is due, while learning goes on. */
  soon() {
    const { learner, kept, done } = this.training;
    if (this.open || done || performance.now() < this.due) return;
    const write = async () => {
      const weights = await learner.weights();
      await this.write(weights, SHOWN, kept.temperature);
      // given back at once where the browser can: garbage of megabytes waits long to be collected
      for (const { data } of Object.values(weights)) data.buffer.transfer?.(0);
    };
    // one that fails, as when the tab is left, is no reason not to learn
    this.open = write().catch(() => {}).finally(() => (this.open = null));
  }

  /** {step, prompt, text, tokens}. */
  async write(weights, count, temperature) {
    const { kept, settings, state, tools, show } = this.training;
    const { sample_prompt: prompt } = settings.training;
    const { step } = state;
    const begun = performance.now();
    const tokens = await written({ data: dataOf(kept, tools.tables), weights, prompt, count, temperature });
    this.due = performance.now() + Math.max(PAUSE, SHARE * (performance.now() - begun));
    const told = { step, prompt, text: tokens.map(({ text }) => text).join(""), tokens };
    show.wrote(told);
    this.training.tell("sample");
    return told;
  }
}
