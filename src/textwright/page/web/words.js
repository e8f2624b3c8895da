// The page's own words. English is in the code; a language is a file of `words/`, English to its own.

let spoken = {};
let language = "en";

/** A sentence in the page's language; `{name}` stands for a value. */
export function t(text, values = {}) {
  return (spoken[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function speak(name, words) {
  language = name;
  spoken = words;
}

export const grouped = (number) => Math.round(number).toLocaleString(language);

/** What a token of a model is called: a character, a word, a token. */
export function units(model, count) {
  const [one, many] = { char: ["character", "characters"], word: ["word", "words"] }[model?.tokenizer] ?? ["token", "tokens"];
  return t(count === 1 ? one : many);
}
