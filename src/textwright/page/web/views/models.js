// Several models, one text: who knew it best, and where two of them differ.

import { el, fill } from "../parts/dom.js";
import { selectField } from "../parts/fields.js";
import { UNKNOWN, bitsByCharacter, byWord, mean } from "../state/comparing.js";
import { decimal, later, t } from "../words.js";

const MOST = 8; // models that read a passage
const FULL = 2; // bits a character of difference that colour a word fully

export class Models {
  constructor(page) {
    this.page = page;
    this.caption = later("Blue: the model above expected the word more; red: the other did. Whoever is least surprised knows such text best.");
    this.other = selectField(t("Compared with"), []);
    this.other.input.addEventListener("change", () => this.colour());
    this.text = el("div", { class: "tokens units", dir: "auto" });
    this.title = el("h2", {});
    this.list = el("ol", { class: "authors" });
    this.hint = el("p", { class: "hint" }, t("Bits a character over this passage; a character that a model doesn't know counts {bits}.", { bits: UNKNOWN }));
    this.element = el("div", { class: "lens" },
      el("article", { class: "sheet" }, el("div", { class: "controls sheethead" }, this.other), this.text),
      el("aside", { class: "side" }, this.title, this.list, this.hint));
  }

  /** Lets one model after the other read the passage, the chosen one first. */
  async show({ text }) {
    const first = this.page.model;
    const models = [first, ...this.page.models.filter(({ name, state }) => state === "ready" && name !== first.name)].slice(0, MOST);
    this.read = new Map();
    this.passage = text;
    this.first = first.name;
    fill(this.list);
    this.title.textContent = t("Who wrote this?");
    fill(this.text, text);
    fill(this.other.input, models.slice(1).map(({ name }) => el("option", { value: name }, name)));
    const reading = (this.reading = {});
    for (const { name } of models) {
      const told = await this.page.api.read({ model: name, text }).catch(() => null);
      if (this.reading !== reading) return; // another passage meanwhile
      if (!told) continue;
      this.read.set(name, bitsByCharacter(text, told.tokens));
      this.rank();
    }
    if (this.read.size < 2) return;
    const [best] = this.order();
    this.title.textContent = t("Most likely {name}", { name: best });
    this.other.input.value = best === this.first ? this.order().find((name) => name !== this.first) : best;
    this.colour();
  }

  order() {
    return [...this.read.keys()].sort((a, b) => mean(this.read.get(a)) - mean(this.read.get(b)));
  }

  rank() {
    const order = this.order();
    const most = Math.max(...order.map((name) => mean(this.read.get(name))));
    fill(this.list, order.map((name) => {
      const bits = mean(this.read.get(name));
      const bar = el("span", { class: "bar" });
      bar.style.setProperty("--share", `${(100 * bits) / most}%`);
      return el("li", { class: name === this.first ? "here" : "" }, el("b", {}, name), bar, el("span", { class: "share" }, decimal(bits, 2)));
    }));
  }

  colour() {
    const [one, other] = [this.read.get(this.first), this.read.get(this.other.read())];
    if (!one || !other) return;
    fill(this.text, byWord(this.passage, one, other).map(({ word, difference }) => {
      if (!word.trim()) return word;
      const span = el("span", { class: `t${difference < 0 ? " low" : ""}`, title: differs(this.first, difference) }, word);
      span.style.setProperty("--strength", `${Math.min(100, Math.round((100 * Math.abs(difference)) / FULL))}%`);
      return span;
    }));
  }
}

function differs(name, difference) {
  const told = { name, bits: decimal(Math.abs(difference), 1) };
  return difference < 0 ? t("{name}: {bits} bits a character less", told) : t("{name}: {bits} bits a character more", told);
}
