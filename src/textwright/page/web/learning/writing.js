// What a model that learns writes just now, by the page's own runtime: what is shown is what one gets.

import { Writer } from "../runtime/writer.js";
import { Characters } from "./characters.js";
import { parameterCount, streams } from "./config.js";

const SEED = 1; // the same each time, so that one sees the model learn

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

/** {text, tokens}: a text of so many tokens; weights: {name: {shape, data}}. */
export async function written(data, weights, { prompt, count, temperature, signal }) {
  const writer = new Writer(data, Object.fromEntries(Object.entries(weights).map(([name, { data: values }]) => [name, values])));
  const settings = { temperature, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: SEED, maxTokens: count, stop: [] };
  const tokens = [];
  for await (const { token } of writer.write(prompt, settings, signal)) if (token) tokens.push(token);
  return { text: tokens.map(({ text }) => text).join(""), tokens };
}
