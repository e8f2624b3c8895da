// TOML 1.0, as much of it as `run.toml` has: written by tomli_w, read by tomllib.

const BARE = /^[\w-]+$/;

/** The text of tables of plain values, lists and tables; null and undefined are left out. */
export function toToml(tables) {
  return section(tables, []).join("\n").replace(/^\n+/, "");
}

function section(table, path) {
  const kept = Object.entries(table).filter(([, value]) => value !== null && value !== undefined);
  const isTable = (value) => typeof value === "object" && !Array.isArray(value);
  const plain = kept.filter(([, value]) => !isTable(value)).map(([key, value]) => `${keyOf(key)} = ${literal(value)}`);
  const head = path.length && (plain.length || !kept.length) ? ["", `[${path.map(keyOf).join(".")}]`] : [];
  const below = kept.filter(([, value]) => isTable(value)).flatMap(([key, value]) => section(value, [...path, key]));
  return [...head, ...plain, ...below, ...(path.length ? [] : [""])];
}

const keyOf = (key) => (BARE.test(key) ? key : string(key));

function literal(value) {
  if (typeof value === "string") return string(value);
  if (Array.isArray(value)) return `[${value.filter((one) => one !== null).map(literal).join(", ")}]`;
  if (typeof value === "object") {
    const kept = Object.entries(value).filter(([, one]) => one !== null && one !== undefined);
    return `{ ${kept.map(([key, one]) => `${keyOf(key)} = ${literal(one)}`).join(", ")} }`;
  }
  return String(value);
}

/** JSON's escapes are TOML's; beside them TOML wants DEL escaped. */
const string = (text) => JSON.stringify(text).replaceAll("\x7f", "\\u007f");

/** The tables of a TOML text; dates stay text. Throws an Error where it is none. */
export function fromToml(text) {
  return new Reader(text).read();
}

class Reader {
  constructor(text) {
    this.text = text.replaceAll("\r\n", "\n");
    this.at = 0;
  }

  read() {
    const root = {};
    let table = root;
    for (this.blank(); this.at < this.text.length; this.blank()) {
      if (this.text.startsWith("[[", this.at)) table = this.header(root, "[[", "]]");
      else if (this.text[this.at] === "[") table = this.header(root, "[", "]");
      else this.entry(table);
    }
    return root;
  }

  fail() {
    throw new Error(`line ${this.text.slice(0, this.at).split("\n").length}`);
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (!match) this.fail();
    this.at += match[0].length;
    return match[0];
  }

  /** White space, line ends and comments. */
  blank() {
    this.take(/(?:[ \t\n]|#[^\n]*)*/y);
  }

  expect(mark) {
    this.take(/[ \t]*/y);
    if (!this.text.startsWith(mark, this.at)) this.fail();
    this.at += mark.length;
  }

  header(root, open, close) {
    this.expect(open);
    const keys = this.keys();
    this.expect(close);
    let table = root;
    keys.forEach((key, place) => {
      const last = open === "[[" && place === keys.length - 1;
      if (last) (own(table, key, []) || this.fail()).push({});
      const next = own(table, key, {});
      table = Array.isArray(next) ? next.at(-1) : next;
    });
    return table;
  }

  keys() {
    const keys = [];
    do {
      this.take(/[ \t.]*/y);
      keys.push(`"'`.includes(this.text[this.at]) ? this.value() : this.take(/[\w-]+/y));
      this.take(/[ \t]*/y);
    } while (this.text[this.at] === ".");
    return keys;
  }

  entry(table) {
    const keys = this.keys();
    this.expect("=");
    this.take(/[ \t]*/y);
    const last = keys.pop();
    define(keys.reduce((inside, key) => own(inside, key, {}), table), last, this.value());
  }

  value() {
    const mark = this.text[this.at];
    if (mark === '"') return JSON.parse(this.take(/"(?:[^"\\\n]|\\.)*"/y).replace(/\\U([0-9a-fA-F]{8})/g, (_, code) => String.fromCodePoint(parseInt(code, 16))).replaceAll("\t", "\\t"));
    if (mark === "'") return this.take(/'[^'\n]*'/y).slice(1, -1);
    if (mark === "[") return this.list();
    if (mark === "{") return this.inline();
    const word = this.take(/[^\s,\]}#]+/y).replaceAll("_", "");
    if (word === "true" || word === "false") return word === "true";
    const number = Number(word.replace(/^([+-]?)inf$/, "$1Infinity"));
    return Number.isNaN(number) && word !== "nan" ? word : number;
  }

  list() {
    const values = [];
    this.expect("[");
    for (this.blank(); this.text[this.at] !== "]"; this.blank()) {
      values.push(this.value());
      this.blank();
      if (this.text[this.at] === ",") this.at++;
    }
    this.at++;
    return values;
  }

  inline() {
    const table = {};
    this.expect("{");
    for (this.blank(); this.text[this.at] !== "}"; this.blank()) {
      this.entry(table);
      this.blank();
      if (this.text[this.at] === ",") this.at++;
    }
    this.at++;
    return table;
  }
}

function own(table, key, otherwise) {
  if (!Object.hasOwn(table, key)) define(table, key, otherwise);
  return table[key];
}

const define = (table, key, value) => Object.defineProperty(table, key, { value, enumerable: true, writable: true, configurable: true });
