// What a model is to learn from: a file, a text that is pasted, or one from the shelf.

import { el, fill } from "./dom.js";
import { field } from "./fields.js";
import { segments } from "./segments.js";
import { decimal, grouped, many, t } from "../words.js";

const ENDINGS = ".txt,.text,.md,.rst,.tex,.log,.html,.htm,.xhtml,.epub,.docx,.pdf,.csv,.json,.jsonl,.ndjson,.parquet,.gz,text/*";
const KNOWN = [[0x25, 0x50, 0x44, 0x46], [0x50, 0x4b], [0x1f, 0x8b], [0x50, 0x41, 0x52, 0x31], [0xff, 0xfe], [0xfe, 0xff], [0, 0, 0xfe, 0xff], [0x42, 0x5a], [0xfd, 0x37]]; // PDF, ZIP, gzip, Parquet, UTF-16 and UTF-32, bzip2, xz: with zeros, and read
const WIDE = [["utf-16le", [0xff, 0xfe]], ["utf-16be", [0xfe, 0xff]]];
const COUNTED = 32e6; // bytes of a file up to which its characters are counted
const LEAST = 2_000; // characters
const SENSIBLE = 20_000;
const GOOD = 300_000;

export class Source {
  /** onchange(): another text; say(error); note: where it stays; endings: of the files that are plain text, where no others are read. */
  constructor({ onchange, say, note = t("Your text stays on the machine that trains."), endings = null }) {
    Object.assign(this, { onchange, say, isPlain: endings ? () => true : plain });
    const id = endings ? "tab-text" : "train-text"; // a studio has both
    this.file = null;
    this.kind = "shelf";
    this.choice = segments(t("Where the text comes from"), [["shelf", t("From the shelf")], ["paste", t("Paste")], ["file", t("A file")]], (kind) => this.turn(kind));
    this.input = el("input", { type: "file", class: "file", accept: endings ?? ENDINGS, id, onchange: () => this.choose(this.input.files) });
    this.chosen = el("span", { class: "chosen" });
    this.drop = el("label", { class: "drop", for: id }, this.input, this.chosen, el("small", {}, note));
    this.area = el("textarea", { rows: 6, class: "prompt", dir: "auto", spellcheck: false, placeholder: t("Paste or write a text: a diary, poems, letters, a book …"), oninput: () => this.changed() });
    this.pasted = field(t("Your text"), this.area);
    this.shelf = el("div", { class: "builtins", role: "radiogroup", "aria-label": t("Texts that are at hand") });
    this.enough = el("p", { class: "enough", role: "status" });
    this.element = el("div", { class: "source" }, this.choice, this.shelf, this.pasted, this.drop, this.enough);
    this.turn("shelf");
  }

  /** What an element listens to, so that files dropped anywhere on it go to `choose`. */
  dropsTo(choose) {
    const over = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.drop.classList.toggle("over", event.type === "dragover");
    };
    const dropped = (event) => {
      over(event);
      if (event.dataTransfer.files.length) choose(event.dataTransfer.files);
    };
    return { ondragover: over, ondragleave: over, ondrop: dropped };
  }

  /** What the server has at hand, and how much it takes. */
  offer({ built_ins: builtIns = [], most_bytes: most }) {
    this.most = most;
    const key = JSON.stringify(builtIns);
    if (key === this.offered) return;
    this.offered = key;
    fill(this.shelf, builtIns.map(({ name, title, size, near }) => el("button", { type: "button", class: "card", role: "radio", "aria-checked": "false", "data-id": name, onclick: () => this.take(name) },
      el("b", {}, title), el("span", { class: "small" }, `${bytes(size)}${near ? "" : ` · ${t("is downloaded first")}`}`))));
    this.choice.offer(builtIns.length ? ["shelf", "paste", "file"] : ["paste", "file"]);
    const first = builtIns.find(({ near }) => near);
    if (first && !this.builtIn) this.take(first.name);
    if (!builtIns.length && this.kind === "shelf") this.turn("file");
  }

  take(name) {
    this.builtIn = name;
    for (const card of this.shelf.children) card.setAttribute("aria-checked", String(card.dataset.id === name));
    this.changed();
  }

  turn(kind) {
    this.kind = kind;
    this.choice.pick(kind);
    this.shelf.hidden = kind !== "shelf";
    this.pasted.hidden = kind !== "paste";
    this.drop.hidden = kind !== "file";
    this.changed();
  }

  choose(files) {
    this.turn("file");
    this.say(files.length > 1 ? t("One text at a time; the first one was taken.") : "");
    this.file = files[0] ?? null;
    const { file, most } = this;
    if (file && most && file.size > most) {
      this.say(t("{name} is {size} long; texts of up to {most} are taken here. Use a part of it, or textwright train on the command line.", { name: file.name, size: bytes(file.size), most: bytes(most) }));
      this.file = null;
    } else if (file && !file.size) {
      this.say(t("{name} is empty; choose a file with text in it", { name: file.name }));
      this.file = null;
    }
    this.input.value = "";
    this.length = undefined; // characters; null: not known before all of it is read
    this.changed();
    if (this.file) this.look(this.file);
  }

  /** Refuses what is no text before it is sent, by its first bytes; counts the characters of what is plain text. */
  async look(file) {
    const head = new Uint8Array(await file.slice(0, 4096).arrayBuffer().catch(() => new ArrayBuffer(0)));
    const begins = (kind) => kind.every((byte, index) => head[index] === byte);
    const other = head.includes(0) && !KNOWN.some(begins);
    const wide = WIDE.find(([, kind]) => begins(kind))?.[0] ?? "utf-8";
    const text = !other && this.isPlain(file) && file.size < COUNTED ? new TextDecoder(wide).decode(await file.arrayBuffer().catch(() => new ArrayBuffer(0))) : null;
    if (this.file !== file) return;
    this.length = text === null ? null : characters(text);
    if (other) this.refuse(t("{name} holds no text: it is a file of another kind", { name: file.name }));
    else if (this.length === 0) this.refuse(t("{name} is empty; choose a file with text in it", { name: file.name }));
    else this.changed();
  }

  refuse(why) {
    this.say(why);
    this.file = null;
    this.changed();
  }

  /** Why what is pasted is too much; "" where it isn't. */
  tooMuch() {
    const { most, area: { value } } = this;
    const size = most && value.length > most / 3 ? new Blob([value]).size : 0;
    return size > (most ?? 0) ? t("{name} is {size} long; texts of up to {most} are taken here. Use a part of it, or textwright train on the command line.", { name: t("Your text"), size: bytes(size), most: bytes(most) }) : "";
  }

  changed() {
    fill(this.chosen, this.file ? [el("b", {}, this.file.name), ` · ${bytes(this.file.size)}`] : [el("b", {}, t("Drop a text here")), t(", or choose a file")]);
    const pasted = this.kind === "paste";
    const length = pasted ? characters(this.area.value) : this.kind === "file" && this.file && this.length;
    this.enough.textContent = (pasted && this.tooMuch()) || (length ? enough(length) : "");
    this.onchange();
  }

  /** {built_in} or {file}; null: nothing that can be learned from is chosen. */
  read() {
    if (this.kind === "shelf") return this.builtIn ? { builtIn: this.builtIn } : null;
    if (this.kind === "file") return this.file && (this.length === null || this.length >= LEAST) ? { file: this.file } : null;
    const text = this.area.value;
    return characters(text) >= LEAST && !this.tooMuch() ? { file: new File([text], `${t("pasted")}.txt`, { type: "text/plain" }) } : null;
  }

  clear() {
    this.file = null;
    this.area.value = "";
    this.changed();
  }
}

function enough(length) {
  if (length < LEAST) return many(length, "{count} character: too short to learn from; {least} is the least.", "{count} characters: too short to learn from; {least} is the least.", { least: grouped(LEAST) });
  if (length < SENSIBLE) return t("{count} characters: enough to try; it will learn much of it by heart.", { count: grouped(length) });
  if (length < GOOD) return t("{count} characters: it will learn words and how sentences go.", { count: grouped(length) });
  return t("{count} characters: good, there is much to learn from.", { count: grouped(length) });
}

/** Code points, as textwright counts, without the spaces around. */
function characters(text) {
  const trimmed = text.trim();
  return trimmed.length - (trimmed.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

const plain = ({ name, type }) => /^text\/(plain|markdown)/.test(type) || /\.(txt|md|text)$/i.test(name);

const bytes = (size) => (size < 1000 ? many(size, "{count} byte", "{count} bytes") : size < 1e6 ? `${grouped(size / 1e3)} kB` : `${decimal(size / 1e6, 1)} MB`);
