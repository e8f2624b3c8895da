// Encodes and decodes text, for textwright's kinds of tokenizer: `char`, `word`, `bpe`; as
// `tokenizers/tokenizer.py` and `tokenizers/prompts.py`.

import { nearestForm, plain } from "./folding.js";

const SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
/** GPT-2's pattern, with Unicode's White_Space spelled out: Python and JavaScript differ on \s. */
const BYTE_LEVEL = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`,
  "gu",
);
const NOT_SPACE = new RegExp(`[^${SPACE}]+`, "gu");
/** White space as in Python; JavaScript's includes U+FEFF and lacks a few others. */
const WHITE = `${SPACE}\\x1c-\\x1f`;
const BY_MARK = new RegExp(`['’](?:s|t|d|m|re|ve|ll)(?![\\p{L}\\p{N}_])|[\\p{L}\\p{N}_]+|[^\\p{L}\\p{N}_${WHITE}]`, "gu");
const BY_APOSTROPHE = new RegExp(`[${WHITE}]*[^'’${WHITE}]+|[${WHITE}]*['’]|[${WHITE}]+`, "gu");
const EDGES = new RegExp(`^[${WHITE}]+|[${WHITE}]+$`, "gu");
const STARTS_WHITE = new RegExp(`^[${WHITE}]`, "u");
const SURROGATE = /\p{Cs}/gu;
const OPENING = "([{“‘„«";
const SHOWN = 8;

export class Tokenizer {
  /** data: {kind, tokens, texts, pieces, merges, lowercase, pattern, unk, specials, forms, letters, opens} */
  constructor(data) {
    Object.assign(this, data);
    this.ids = new Map(data.tokens.map((token, id) => [token, id]));
    this.tables = { forms: data.forms, letters: data.letters, opens: data.opens };
    if (data.kind === "bpe") {
      this.ranks = new Map(data.merges.map((pair, rank) => [pair, rank]));
      const alphabet = byteAlphabet();
      this.shown = new Map(alphabet.map((character, byte) => [byte, character]));
      const bytes = new Map(alphabet.map((character, byte) => [character, byte]));
      this.bytes = data.tokens.map((token) => Uint8Array.from(token, (part) => bytes.get(part)));
    }
    if (data.pattern) {
      this.pattern = new RegExp(data.pattern.replaceAll("[^\\s", `[^${SPACE}`).replaceAll("\\s", `[${SPACE}]`), "gu");
    }
  }

  /** The ids of a prompt, and at most one warning. */
  encodePrompt(text) {
    const prompt = { ids: [], readAs: new Map(), leftOut: new Set(), unknown: new Set() };
    text = text.replace(/\r\n?/g, "\n").replace(SURROGATE, (part) => {
      prompt.leftOut.add(part);
      return "";
    });
    if (this.kind === "char") this.readCharacters(text, prompt);
    else if (this.kind === "word") this.readWords(text, prompt);
    else prompt.ids = this.encode(text);
    const warning = warningOf(prompt);
    return { ids: prompt.ids, warnings: warning ? [warning] : [] };
  }

  /** As `encodePrompt`, for a turn of a conversation; as `turn_text` in `tokenizers/chat.py`. */
  encodeTurn(text) {
    let content = strip(text);
    for (const token of this.specials) content = content.replaceAll(token, `< ${token.slice(1)}`);
    return this.encodePrompt(content && ` ${content}`);
  }

  /** The ids of `text`; characters that a `char` vocabulary lacks are dropped. */
  encode(text) {
    text = this.normalise(text);
    if (this.kind === "char") {
      return [...text].map((part) => this.ids.get(part)).filter((id) => id !== undefined);
    }
    if (this.kind === "word") {
      return this.split(text).map(({ token }) => this.ids.get(token) ?? this.unk);
    }
    return (text.match(BYTE_LEVEL) ?? []).flatMap((word) => this.merge(word));
  }

  normalise(text) {
    if (this.lowercase) text = [...text].map((part) => part.toLowerCase()).join("");
    if (this.kind === "bpe") return text;
    text = text.normalize("NFC");
    if (this.kind === "word" && !this.pattern) {
      text = text.replace(/(?<!\S)<eos>(?!\S)/g, "<eos >").replaceAll("\n", " <eos> ");
    }
    return text;
  }

  /** The words of normalized text, with their start positions. */
  split(text) {
    const found = text.matchAll(this.pattern ?? NOT_SPACE);
    return Array.from(found, (match) => ({ token: match[0], start: match.index }));
  }

  /** Merges byte pairs in the order they were learned (Sennrich et al., 2016). */
  merge(word) {
    let parts = Array.from(new TextEncoder().encode(word), (byte) => this.shown.get(byte));
    for (;;) {
      let best = Infinity;
      for (let i = 0; i + 1 < parts.length; i++) {
        best = Math.min(best, this.ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity);
      }
      if (best === Infinity) return parts.map((part) => this.ids.get(part));
      const merged = [];
      for (let i = 0; i < parts.length; i++) {
        const pair = this.ranks.get(`${parts[i]} ${parts[i + 1]}`) === best;
        merged.push(pair ? parts[i] + parts[++i] : parts[i]);
      }
      parts = merged;
    }
  }

  /** Whether a character is read, as itself or as another; of a vocabulary of characters. */
  reads(character) {
    const known = (part) => this.ids.has(part);
    const read = this.normalise(character);
    return known(read) || nearestForm(read, this.tables, known, false) !== null;
  }

  readCharacters(text, prompt) {
    const characters = [...this.normalise(text)];
    const known = (character) => this.ids.has(character);
    const read = characters.map((character, i) => {
      if (known(character)) return character;
      const form = nearestForm(character, this.tables, known, opensAfter(characters[i - 1] ?? ""));
      if (form === null) prompt.leftOut.add(character);
      else prompt.readAs.set(character, form);
      return form ?? "";
    });
    prompt.ids = this.encode(read.join(""));
  }

  readWords(text, prompt) {
    text = this.normalise(text);
    for (const { token, start } of this.split(text)) {
      const before = start ? [...text.slice(Math.max(0, start - 2), start)].at(-1) : "";
      this.readWord(token, prompt, STARTS_WHITE.test(token) || opensAfter(before));
    }
  }

  readWord(token, prompt, opening) {
    if (this.ids.has(token)) {
      prompt.ids.push(this.ids.get(token));
      return;
    }
    const core = strip(token) || token;
    const parts = token.match(this.pattern ? BY_APOSTROPHE : BY_MARK) ?? [];
    for (const [forms, asTyped] of this.variants(token, parts, opening)) {
      const ids = forms.flatMap((form) => this.encode(form));
      if (ids.includes(this.unk)) continue;
      const form = forms.join("");
      if (!asTyped) prompt.readAs.set(core, strip(form) || form);
      prompt.ids.push(...ids);
      return;
    }
    if (parts.length > 1) {
      for (const part of parts) this.readWord(part, prompt, false);
      return;
    }
    prompt.unknown.add(core);
    prompt.ids.push(this.unk);
  }

  /** Forms of an unknown word, the nearest first, each with whether it equals what was typed. */
  *variants(token, parts, opening) {
    const core = strip(token) || token;
    const space = token.slice(0, token.indexOf(core));
    const other = space ? "" : " ";
    yield [[other + core], true];
    yield [parts, true];
    if ([...core].length === 1) {
      const known = (form) => this.ids.has(form) || this.ids.has(` ${form}`);
      const form = nearestForm(core, this.tables, known, opening);
      if (form !== null) {
        yield [[space + form], false];
        yield [[other + form], false];
      }
    }
    const folded = plain(core.replaceAll("’", "'"), this.tables);
    for (const form of cases([core, core.replaceAll("'", "’"), folded])) {
      yield [[space + form], false];
      yield [[other + form], false];
    }
  }

  /** A streaming decoder: a function from an id to the text that it completes; null flushes. */
  stream() {
    if (this.kind !== "bpe") return (id) => (id === null ? "" : this.pieces[id]);
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return (id) => (id === null ? decoder.decode() : decoder.decode(this.bytes[id], { stream: true }));
  }
}

/** GPT-2's character for each byte: printable Latin-1 as itself, the others from U+0100 on. */
function byteAlphabet() {
  const printable = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let hidden = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : hidden++));
}

const strip = (text) => text.replace(EDGES, "");

function opensAfter(before) {
  return !before || STARTS_WHITE.test(before) || OPENING.includes(before);
}

/** `forms`, then each in lower case, capitalized, and in upper case. */
function cases(forms) {
  const found = new Set(forms);
  for (const form of [...found]) {
    const [first = "", ...rest] = form;
    found.add(form.toLowerCase());
    found.add(first.toUpperCase() + rest.join("").toLowerCase());
    found.add(form.toUpperCase());
  }
  return found;
}

function warningOf({ readAs, unknown, leftOut }) {
  const sorts = [
    ["read as a known form", Array.from(readAs, ([typed, form]) => `${quoted(typed)} as ${quoted(form)}`)],
    ["read as <unk>, not in the vocabulary", Array.from(unknown, quoted)],
    ["left out, never seen in training", Array.from(leftOut, quoted)],
  ];
  const said = sorts.filter(([, things]) => things.length).map(([sort, things]) => {
    const more = things.length - SHOWN;
    return `${sort}: ${things.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  });
  return said.join("; ");
}

const quoted = (text) => `‘${text.length <= 40 ? text : `${text.slice(0, 39)}…`}’`;
