// The page's own words. English is in the code; a language is a file of `words/`, from English to its own.

let spoken = {};
let language = "en";
let plural = new Intl.PluralRules("en");
const decimals = new Map();

/** A sentence in the page's language; `{name}` stands for a value. */
export function t(text, values = {}) {
  return put(spoken[text] ?? text, values);
}

/** A sentence that depends on a number: `one` of one, `other` of all else; a language has its own forms by what it has for `other`. */
export function many(count, one, other, values = {}) {
  const form = plural.select(count);
  const known = spoken[other];
  const text = known === undefined ? (form === "one" ? one : other) : (known[form] ?? known.other ?? known);
  return put(text, { count: grouped(count), ...values });
}

const put = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** A sentence that is spoken later, by `t`. */
export const later = (text) => text;

/** What `say` gives where the page speaks English: for files, whose words are the same everywhere. */
export function inEnglish(say) {
  const before = [language, spoken];
  set("en", {});
  try {
    return say();
  } finally {
    set(...before);
  }
}

/** The first of the languages that somebody wants, such as `de-CH`, that there is; null: English. */
export function wanted(languages, there) {
  for (const one of languages) {
    const base = one.toLowerCase().split("-")[0];
    if (base === "en") return null;
    if (there.includes(base)) return base;
  }
  return null;
}

/** From now on the page speaks this language; words: from English to it. */
export function speak(name, words) {
  set(name, words);
  if (globalThis.document) document.documentElement.lang = name;
}

function set(name, words) {
  language = name;
  spoken = words;
  plural = new Intl.PluralRules(name);
  decimals.clear();
}

export const grouped = (number) => decimal(Math.round(number), 0);

/** A number with so many places, as the language writes it. */
export function decimal(number, places) {
  if (!decimals.has(places)) decimals.set(places, new Intl.NumberFormat(language, { minimumFractionDigits: places, maximumFractionDigits: places }));
  return decimals.get(places).format(number).replace("-", "−");
}

/** A number with as many places as it has, three at most. */
export const amount = (number) => Number(number).toLocaleString(language, { maximumFractionDigits: 3, useGrouping: false });

/** So many of what a token of a model is called: characters, words, tokens. */
export function counted(model, count) {
  if (model?.tokenizer === "char") return many(count, "{count} character", "{count} characters");
  if (model?.tokenizer === "word") return many(count, "{count} word", "{count} words");
  return many(count, "{count} token", "{count} tokens");
}

/** What tokens of a model are called. */
export function units(model) {
  return { char: t("characters"), word: t("words") }[model?.tokenizer] ?? t("tokens");
}
