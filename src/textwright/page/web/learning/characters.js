// The tokenizer of a tab: one token a character, ids in order of code point, new ones after those of a
// parent; as `tokenizers/characters.py`, `extending.py` and `hidden.py`.

import { t } from "../words.js";
import { RECIPES } from "./recipes.js";

const CODE_POINTS = 0x110000;
const BLOCK = 256;
const ELSEWHERE = 1 / 16;

/** The distinct characters of a text in order of code point. */
function distinct(text) {
  const seen = new Uint8Array(CODE_POINTS);
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i);
    seen[code] = 1;
    if (code > 0xffff) i++;
  }
  const found = [];
  for (let code = 0; code < CODE_POINTS; code++) if (seen[code]) found.push(String.fromCodePoint(code));
  return found;
}

export class Characters {
  /** tokens: a character each, in order of their ids. */
  constructor(tokens) {
    this.tokens = tokens;
  }

  /** Those of a training text. Throws an Error where there is but one. */
  static of(text) {
    const tokens = distinct(text);
    if (tokens.length < 2) throw new Error(t("the text holds no character but {one}: there is nothing to learn; give a text with more", { one: `‘${tokens[0] ?? ""}’` }));
    return new Characters(tokens);
  }

  /** Those of a parsed tokenizer.json. Throws an Error for tokenizers of other kinds. */
  static read(file) {
    const { model, normalizer, added_tokens: added } = file ?? {};
    const tokens = Object.entries(model?.vocab ?? {}).sort((a, b) => a[1] - b[1]).map(([token]) => token);
    const single = tokens.length > 1 && tokens.every((token) => [...token].length === 1) && !model.merges?.length;
    if (!single || added?.length || model.type !== "BPE" || normalizer?.type !== "NFC") throw new Error(notCharacters());
    return new Characters(tokens);
  }

  /** With the characters of a text that it lacks, after its own. */
  extended(text) {
    const known = new Set(this.tokens);
    return new Characters([...this.tokens, ...distinct(text).filter((character) => !known.has(character))]);
  }

  get size() {
    return this.tokens.length;
  }

  /** {ids: of the smallest of types that holds them, unknown: Map of characters without an id, which are left out, to their counts}. */
  encode(text) {
    const table = new Int32Array(CODE_POINTS).fill(-1);
    this.tokens.forEach((token, id) => (table[token.codePointAt(0)] = id));
    const Ids = this.size <= 1 << 8 ? Uint8Array : this.size <= 1 << 16 ? Uint16Array : Int32Array;
    const ids = new Ids(text.length);
    const unknown = new Map();
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i);
      if (code > 0xffff) i++;
      if (table[code] >= 0) ids[count++] = table[code];
      else unknown.set(String.fromCodePoint(code), (unknown.get(String.fromCodePoint(code)) ?? 0) + 1);
    }
    return { ids: count < ids.length ? ids.slice(0, count) : ids, unknown };
  }

  /** The bits that tell the characters that were left out of a text of so many characters. */
  hiddenBits(unknown, characters) {
    const count = Array.from(unknown.values()).reduce((sum, one) => sum + one, 0);
    if (!count) return 0;
    const blocks = new Map();
    const blockOf = (character) => Math.floor(character.codePointAt(0) / BLOCK);
    for (const token of this.tokens) blocks.set(blockOf(token), (blocks.get(blockOf(token)) ?? 0) + 1);
    let bits = positionsBits(count, characters - count);
    for (const [character, times] of unknown) {
      const inside = ((blocks.get(blockOf(character)) ?? 0) / this.size) * ((1 - ELSEWHERE) / BLOCK);
      bits -= times * Math.log2((1 - 1 / BLOCK) * (inside + ELSEWHERE / CODE_POINTS));
    }
    return bits;
  }

  /** The text of tokenizer.json. */
  file() {
    const [before, after] = JSON.stringify(RECIPES.tokenizer_file, null, 2).split('"vocab": {}');
    // by hand: an object would put the digits first
    const entries = this.tokens.map((token, id) => `      ${JSON.stringify(token)}: ${id}`);
    return `${before}"vocab": {\n${entries.join(",\n")}\n    }${after}`;
  }

  /** What `runtime/tokenizer.js` needs; tables: the folding of prompts. */
  data(tables) {
    return { kind: "char", tokens: this.tokens, texts: this.tokens, pieces: this.tokens, lowercase: false, unk: null, ...tables };
  }

  /** The ids that stand for the start of a text. */
  get start() {
    return [Math.max(0, this.tokens.includes("\n") ? this.tokens.indexOf("\n") : this.tokens.indexOf(" "))];
  }
}

export const notCharacters = () => t("this model reads words, capitals or conversations in a way of its own; a tab goes on only with models of single characters");

/** The bits that tell which `marked` of `marked + others` places are meant, and how many. */
function positionsBits(marked, others) {
  const count = marked + others;
  return (lgamma(count + 1) - lgamma(marked + 1) - lgamma(others + 1)) / Math.LN2 + Math.log2(count + 1);
}

/** ln Γ(x) for x ≥ 1: Stirling's series from 10 on, and below by the recurrence. */
function lgamma(x) {
  let shift = 0;
  for (; x < 10; x++) shift += Math.log(x);
  const square = 1 / (x * x);
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
