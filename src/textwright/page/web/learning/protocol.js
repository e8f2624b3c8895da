// How an evaluation reads a text, in the words of `training/loop/evaluation.py`, which stand in run.toml.

import { streams } from "./config.js";
import { RECIPES } from "./recipes.js";

const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

/** What an evaluation does with a text of so many tokens, in words; limit 0 reads all. */
export function protocol(config, tokens, limit = 0) {
  const part = Math.min(limit || tokens, tokens - 1);
  if (!streams(config)) {
    const spread = part < tokens - 1 ? `, ${Math.max(1, Math.floor(part / config.block_size))} of them spread evenly` : "";
    return `windows of ${config.block_size} tokens${spread}`;
  }
  const first = part < tokens - 1 ? `, its first ${grouped(part)} tokens` : "";
  const count = Math.max(1, Math.min(RECIPES.streams, Math.floor(part / (4 * RECIPES.stream_warmup))));
  const side = count > 1 ? `, in ${count} streams that each read ${RECIPES.stream_warmup} tokens before, uncounted` : "";
  return `state carried through the text${first}${side}`;
}
