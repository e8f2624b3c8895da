// A text that somebody gives becomes a corpus, as `textwright.data` makes one: decoded, LF, NFC,
// without Gutenberg's boilerplate, and split. It never leaves the page.

import { later, many, t } from "../words.js";
import { withoutBoilerplate } from "./gutenberg.js";
import { sha256 } from "./sha256.js";

/** Characters that a tab learns from at most: as text and as ids they take 150 MB. */
const MOST = 20_000_000;
const FEWEST = 2; // of a part: one to read and one to predict
const NO_TEXT = [
  ["%PDF", later("a PDF")], ["PK\x03\x04", later("a ZIP archive, an EPUB or a Word document")], ["\x1f\x8b", later("compressed")],
  ["{\\rtf", later("RTF")], ["\xd0\xcf\x11\xe0", later("an old Word document")],
  ["\x89PNG", later("a picture")], ["\xff\xd8\xff", later("a picture")], ["GIF8", later("a picture")],
];
/** What Western has from 0x80 on, in place of control characters. */
const WESTERN = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";
const CONTROLS = /[\x00-\x07\x0e-\x19\x1c-\x1f]/g;

/**
 * The text of a file: {text, encoding, note}, note a function that says something about it, or null.
 *
 * A byte-order mark decides; else UTF-8, where the bytes are valid, or nearly; else Western, which
 * `note` says.
 * Throws an Error where it holds no text.
 */
export function decoded(bytes, label) {
  const head = Array.from(bytes.subarray(0, 8), (byte) => String.fromCharCode(byte)).join("");
  const [, name = null] = NO_TEXT.find(([start]) => head.startsWith(start)) ?? [];
  if (name) throw new Error(t("{label} is {what}; save it as plain text", { label, what: t(name) }));
  const marks = [["\xff\xfe", "utf-16le", "utf-16"], ["\xfe\xff", "utf-16be", "utf-16"], ["\xef\xbb\xbf", "utf-8", "utf-8-sig"]];
  for (const [mark, coded, called] of marks) if (head.startsWith(mark)) return { text: new TextDecoder(coded).decode(bytes), encoding: called, note: null };
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const start = text.slice(0, 1 << 16).replaceAll("\0", "");
    if ((start.match(CONTROLS) ?? []).length <= start.length / 100) return { text, encoding: "utf-8", note: null };
  } catch {
    const mended = mostlyUtf8(bytes, label);
    if (mended) return mended;
    const text = new TextDecoder("windows-1252").decode(bytes).replace(/[\x80-\x9f]/g, (one) => WESTERN[one.charCodeAt(0) - 0x80]);
    const start = text.slice(0, 1 << 16);
    if ((start.match(CONTROLS) ?? []).length <= start.length / 1000) {
      return { text, encoding: "cp1252", note: () => t("{label} isn't UTF-8 and was read as Western; where letters look wrong, save it as UTF-8", { label }) };
    }
  }
  throw new Error(t("{label} holds no text; save it as plain text", { label }));
}

/** What is UTF-8 but for a few damaged places, each of which becomes U+FFFD; null where there are many. */
function mostlyUtf8(bytes, label) {
  const text = new TextDecoder("utf-8").decode(bytes);
  const count = text.split("\ufffd").length - 1;
  const letters = (text.match(/[^\x00-\x7f]/gu) ?? []).length - count;
  if (letters <= 20 * count) return null;
  const note = () => many(count, "{label} has {count} damaged place, which became �", "{label} has {count} damaged places, which became �", { label });
  return { text, encoding: "utf-8", note };
}

/** LF line ends, NFC, no byte-order marks or NULs, no lone surrogates: `data/formats/normalization.py`. */
export function normalized(text) {
  return text
    .replace(/[\0\ufeff]/g, "")
    .replace(/\r\n?/g, "\n")
    .replace(/\p{Surrogate}/gu, "\ufffd")
    .normalize("NFC");
}

/** How many characters (code points) a text has. */
function countCharacters(text) {
  let pairs = 0;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xd800) pairs++;
  return text.length - pairs;
}

/** Where in a string its character `number` begins. */
function placeOf(text, number) {
  let place = 0;
  for (; number > 0; number--) place += (text.charCodeAt(place) & 0xfc00) === 0xd800 ? 2 : 1;
  return place;
}

/** ⌊characters × (1 − fraction)⌋, computed exactly. */
export function splitAt(characters, fraction) {
  const [, digits = ""] = String(fraction).split(".");
  const whole = 10n ** BigInt(digits.length);
  return Number((BigInt(characters) * (whole - BigInt(digits || 0))) / whole);
}

/** The prepared text of what was given; throws an Error where there is none, or too much. */
export function prepared(given, label) {
  const text = withoutBoilerplate(normalized(given));
  if (!/[^\t-\r \x85\xa0]/.test(given)) throw new Error(t("{label} holds no usable text: it is empty", { label }));
  if (!text) throw new Error(t("{label} holds no usable text", { label }));
  if (text.length > MOST) throw new Error(t("{label} is longer than the 20 million characters that a tab can learn from; take a part of it, or textwright train", { label }));
  return text;
}

/**
 * A prepared text as a corpus: {text, train, validation, characters: [of both], sha256}.
 *
 * fraction: the share held out at the end. Throws an Error where there is too little of it.
 */
export function corpusOf(text, label, fraction = 0.1) {
  const all = countCharacters(text);
  const first = splitAt(all, fraction);
  const short = { label };
  if (first < FEWEST) throw new Error(many(all, "{label} has {count} character, too few to learn from; give a longer text", "{label} has {count} characters, too few to learn from; give a longer text", short));
  if (all - first < FEWEST) throw new Error(many(all, "{label} has {count} character, too few to be judged by; give a longer text", "{label} has {count} characters, too few to be judged by; give a longer text", short));
  const cut = placeOf(text, first);
  return { text, train: text.slice(0, cut), validation: text.slice(cut), characters: [first, all - first], sha256: sha256(text) };
}
