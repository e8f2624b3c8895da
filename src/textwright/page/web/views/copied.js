// Copied or invented?: the spans of a passage that occur word for word in the training text.

import { el, fill, number } from "../parts/dom.js";
import { decimal, grouped, later, many, t } from "../words.js";
import { field, form, numberField } from "../parts/fields.js";
import { PassageView, given, letWrite } from "../parts/passage.js";

const PASSAGE = { maxTokens: 1000, temperature: 0.7 };
const FIRST = 400;

export class CopiedView extends PassageView {
  static id = "copied";
  static title = later("Copied?");
  static icon = "copied";

  constructor(page) {
    super(page, { placeholder: t("A passage: the model's, or any other."), first: FIRST });
    this.minimum = numberField(t("Counts from"), { value: 40, min: 16, max: 20000, step: 1, empty: 40, hint: t("characters in a row") });
    this.check = el("button", { class: "primary", type: "submit", disabled: true }, t("Compare"));
    this.text = el("div", { class: "tokens copies", tabIndex: -1 });
    this.numbers = el("dl", { class: "numbers" });
    this.told = el("p", { class: "hint" });
    this.list = el("ol", { class: "surprises" });
    this.heading = el("h2", {}, t("The longest stretches"));
    this.stage = el(
      "div", { class: "lens", hidden: true },
      el("article", { class: "sheet" }, this.text),
      el("aside", { class: "side" }, this.numbers, this.told, this.heading, this.list),
    );
    this.element = el(
      "section", { class: "view look copied", "aria-label": t("Copied or invented?") },
      el("h1", {}, t("Copied or invented?")),
      el("p", { class: "about" }, t("What of a passage stands word for word in the text that the model learned from, and where.")),
      form({ class: "desk", "data-busy": t("comparing …"), onsubmit: (event) => { event.preventDefault(); this.compare(); } },
        field(t("Passage"), this.passage),
        el("div", { class: "controls" }, this.minimum, el("div", { class: "actions" }, this.writeButton, this.check))),
      this.notice, this.stage,
    );
  }

  /** Compares a text from another view. */
  take(text) {
    this.passage.value = text;
    this.stage.hidden = true;
    this.work.abort();
    this.compare();
  }

  async letWrite(maxTokens = PASSAGE.maxTokens) {
    await this.work.run(async (signal) => {
      this.stage.hidden = true;
      const seed = crypto.getRandomValues(new Uint32Array(1))[0];
      await letWrite(this.passage, this.page.api, { ...PASSAGE, maxTokens, model: this.model.name, prompt: this.model.beginnings?.[0] ?? "", seed }, signal);
      await this.ask(signal);
    });
  }

  async compare() {
    if (!this.model || !given(this.passage, this.notice)) return;
    await this.work.run((signal) => this.ask(signal));
  }

  async ask(signal) {
    const text = this.passage.value;
    const found = await this.page.api.copied({ model: this.model.name, text, minimum: this.minimum.read() }, signal);
    this.show(text, found);
  }

  show(text, found) {
    this.stage.hidden = false;
    this.stage.classList.remove("stale");
    const characters = [...text]; // as Python counts them
    const marks = this.marks(characters, found.stretches);
    fill(
      this.numbers,
      number(t("copied"), share(found.share)),
      number(t("longest"), found.longest ? grouped(found.longest) : "–"),
      number(t("held-out text"), share(found.held_out.share)),
    );
    const { held_out: apart } = found;
    this.told.textContent = [
      t("Copied: in a stretch of {minimum} characters or more that stands in {corpus}.", { minimum: grouped(found.minimum), corpus: found.corpus }),
      many(apart.characters, "Held-out text: the same measure for {count} character of that source that the model never saw.", "Held-out text: the same measure for {count} characters of that source that the model never saw."),
      apart.longest && t("The longest stretch there: {count}.", { count: grouped(apart.longest) }),
      t("What goes beyond it was learned by heart."),
      found.unit === "line" && found.stretches.length && t("Lines are those of the text as it was read."),
      !found.complete && t("Passage and text repeat themselves so much that not every place was compared: there may be more."),
    ].filter(Boolean).join(" ");
    const order = [...found.stretches.keys()].sort((a, b) => found.stretches[b].length - found.stretches[a].length).slice(0, 12);
    this.heading.hidden = !order.length;
    fill(this.list, order.map((index) => item(found.stretches[index], found, marks[index])));
  }

  /** Shows the passage with its copied spans marked; returns the mark of each. */
  marks(characters, stretches) {
    const marks = [];
    const parts = [];
    let at = 0;
    stretches.forEach(({ start, length, source, line }, index) => {
      const begin = Math.max(start, at); // of overlapping spans the first has the overlap
      parts.push(characters.slice(at, begin).join(""));
      marks.push(el("mark", { tabIndex: -1, title: `${source}, ${grouped(line)}` }, characters.slice(begin, start + length).join("")));
      parts.push(marks.at(-1));
      at = Math.max(at, start + length);
    });
    fill(this.text, ...parts, characters.slice(at).join("") || null);
    return marks;
  }
}

function item({ length, text, source, line, offset }, { unit, corpus }, mark) {
  const where = unit === "line" ? t("{source}, line {line}, after {offset} characters", { source: source || corpus, line: grouped(line), offset: grouped(offset) }) : t("{corpus}, conversation {line}", { corpus, line: grouped(line) });
  return el("li", {}, el("button", { type: "button", class: "node", onclick: () => { mark.focus(); mark.scrollIntoView({ block: "center" }); } },
    el("span", { class: "line" }, text.replace(/\s+/g, " ").trim()),
    el("span", { class: "small" }, `${many(length, "{count} character", "{count} characters")} · ${where}`)));
}

const share = (value) => (value === 0 ? "0 %" : value < 0.001 ? `< ${decimal(0.1, 1)} %` : `${decimal(100 * value, value < 0.0995 ? 1 : 0)} %`);
