// A model to begin with: out of a run folder, or the one in the page; grown by a text's new characters.

import { nearestForm } from "../runtime/folding.js";
import { Philox } from "../runtime/philox.js";
import { Characters, notCharacters } from "./characters.js";
import { completed } from "./config.js";
import { toSafetensors } from "./safetensors.js";
import { sha256 } from "./sha256.js";

const NOISE = 0.1; // standard deviation, as a share of that over all rows
const UNSEEN = 0.5; // added to each count, so that a token which isn't in the text keeps a logarithm

/**
 * The model in the page as a parent: {name, config, tokens, weights, sha256, texts}.
 *
 * data: as `page/packing.py` makes it. weights: {name: {shape, data: Float32Array}}.
 */
export function parentOf(data, weights) {
  const { kind, tokens, lowercase, specials } = data.tokenizer;
  if (kind !== "char" || lowercase || specials) throw new Error(notCharacters());
  return { name: data.name, config: completed(data.config), tokens, weights, sha256: sha256(toSafetensors(weights)), texts: [] };
}

/**
 * The weights of a parent with a row for each character that `characters` has beyond its own: the mean
 * of the rows of what it read the character as before, or of all rows, and a little noise. With an
 * output bias both divide the old one's probability by how often they stand in the text.
 *
 * text: its ids. tables: the folding of prompts. seed: of the noise.
 */
export function grown(parent, characters, text, tables, seed) {
  const old = parent.tokens.length;
  const ids = new Map(parent.tokens.map((token, id) => [token, id]));
  const similar = characters.tokens.slice(old).map((character) => {
    const form = nearestForm(character, tables, (one) => ids.has(one), true);
    return form === null ? [] : [...form].map((one) => ids.get(one));
  });
  if (!similar.length) return parent.weights;
  const random = new Philox(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const growing = /embed|output|lm_head/;
  const shares = logShares(similar, text, characters.size);
  return Object.fromEntries(
    Object.entries(parent.weights).map(([name, { shape, data }]) => {
      if (shape[0] !== old || !growing.test(name)) return [name, { shape, data }];
      const width = data.length / old;
      const larger = new Float32Array(width * characters.size);
      larger.set(data);
      for (let column = 0; column < width; column++) fill(larger, column, width, old, similar, normal);
      if (shape.length === 1) shares.forEach((share, token) => (larger[token] += share));
      return [name, { shape: [characters.size, ...shape.slice(1)], data: larger }];
    }),
  );
}

/** The new rows of one column. */
function fill(table, column, width, old, similar, normal) {
  const at = (row) => table[row * width + column];
  const rows = Array.from({ length: old }, (_, row) => row);
  const meanOf = (some) => some.reduce((sum, row) => sum + at(row), 0) / some.length;
  const mean = meanOf(rows);
  const spread = Math.sqrt(rows.reduce((sum, row) => sum + (at(row) - mean) ** 2, 0) / Math.max(1, old - 1));
  similar.forEach((some, number) => {
    table[(old + number) * width + column] = (some.length ? meanOf(some) : mean) + NOISE * spread * normal();
  });
}

/** Of each token the logarithm of its share in what an old one and the new ones like it count; 0 where there is none. */
function logShares(similar, text, size) {
  const likes = Array.from({ length: size }, (_, token) => similar[token - (size - similar.length)]?.[0] ?? token);
  const counts = new Float64Array(size).fill(UNSEEN);
  for (const token of text) counts[token] += 1;
  const totals = new Float64Array(size);
  likes.forEach((like, token) => (totals[like] += counts[token]));
  return likes.map((like, token) => Math.log(counts[token] / totals[like]));
}

/** Bits a character of counting a text's own characters. */
export function entropy(ids) {
  const counts = new Map();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return Array.from(counts.values()).reduce((sum, count) => sum - (count / ids.length) * Math.log2(count / ids.length), 0);
}
