// Write: a prompt, its continuation with tokens coloured by probability, and the branches.

import { described } from "../app.js";
import { el, fill } from "../parts/dom.js";
import { field, form, notice, numberField } from "../parts/fields.js";
import { exportButton } from "../parts/saving.js";
import { legend } from "../parts/tokens.js";
import { Branches } from "./branches.js";
import { Sheet } from "./sheet.js";

export class WriteView {
  static id = "write";
  static title = "Write";
  static icon = "write";

  constructor(page) {
    this.page = page;
    this.branches = new Branches((node) => this.show(node));
    this.notice = notice();
    this.prompt = el("textarea", { rows: 2, class: "prompt", placeholder: "Begin a sentence, or leave it to the model …", spellcheck: false });
    this.length = numberField("Length", { value: 100, min: 1, max: 100000, step: 1, empty: 100, hint: "tokens" });
    this.topK = numberField("Top-k", { step: 1, empty: 0, hint: "empty: all" });
    this.more = moreFields();
    this.about = el("p", { class: "about" });
    this.export = page.api.exported && exportButton(page.api, () => page.model.name, (error) => this.notice.say(error));
    this.sheets = [new Sheet(this, 0), new Sheet(this, 1)];
    this.go = el("button", { class: "primary", type: "submit" }, "Write");
    this.stopButton = el("button", { type: "button", class: "stop", hidden: true, onclick: () => this.stop() }, "Stop");
    this.side = el("button", { type: "button", class: "toggle", "aria-pressed": "false", onclick: () => this.toggleSide() }, "Side by side");
    const [first, second] = this.sheets;
    second.element.hidden = true;
    this.form = form(
      { class: "desk", onsubmit: (event) => { event.preventDefault(); this.write(); } },
      field("Prompt", this.prompt),
      el(
        "div", { class: "controls" },
        this.length, first.temperature, this.topK,
        el("div", { class: "actions" }, this.side, this.stopButton, this.go),
      ),
      el("details", { class: "more" }, el("summary", {}, "More"), el("div", { class: "controls" }, Object.values(this.more))),
    );
    this.columns = el("div", { class: "columns" }, first.element, second.element);
    this.element = el(
      "section", { class: "view write", "aria-label": "Write", onkeydown: (event) => this.key(event) },
      el("div", { class: "main" }, this.form, this.about, this.notice, el("div", { class: "legendrow" }, legend(), el("span", { class: "hint" }, "Click a token for what else was likely.")), this.columns),
      this.branches.element,
    );
  }

  modelChanged(model) {
    fill(this.about, model ? [el("b", {}, model.name), " ", described(model), " ", this.export] : "No model is ready. Train one, or start the studio with a run.");
    this.go.disabled = !model;
    for (const sheet of this.sheets) sheet.modelsChanged(this.page.models, model);
  }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.write();
    } else if (event.key === "Escape" && this.busy) this.stop();
  }

  get busy() {
    return this.sheets.some((sheet) => sheet.running);
  }

  toggleSide() {
    const on = this.side.getAttribute("aria-pressed") !== "true";
    this.side.setAttribute("aria-pressed", String(on));
    this.sheets[1].element.hidden = !on;
    this.columns.classList.toggle("two", on);
    for (const sheet of this.sheets) sheet.sideBySide(on);
  }

  /** The settings in the form; throws an error for a wrong value. */
  settings() {
    return {
      maxTokens: this.length.read(),
      topK: Math.max(0, this.topK.read()),
      topP: this.more.topP.read(),
      minP: this.more.minP.read(),
      repetitionPenalty: this.more.penalty.read(),
      stop: this.more.stop.read(),
      seed: this.more.seed.read() ?? crypto.getRandomValues(new Uint32Array(1))[0],
    };
  }

  /** Generates from the prompt on all visible sheets. */
  async write() {
    if (this.busy || !this.page.model) return;
    const prompt = this.prompt.value === "" ? " " : this.prompt.value;
    await this.run((settings) => this.open.map((sheet) => sheet.begin({ prompt, given: prompt.length, parent: null, settings })));
  }

  /** Continues in `sheet`, with another token in place of one, or at the end. */
  async branch(sheet, index, other) {
    if (sheet.running) return;
    const node = sheet.node;
    const before = node.tokens.slice(0, index).map((token) => token.text).join("");
    const token = node.tokens[index];
    const text = index === node.tokens.length ? "" : other ? other.text : token.text;
    await this.run((settings) => [sheet.begin({
      prompt: before + text,
      given: Math.min(node.given, before.length),
      parent: node.id,
      at: before.length,
      instead: other ? { text, probability: Math.exp(other.logprob) } : null,
      settings: other || index === node.tokens.length ? { ...settings, seed: this.more.seed.read() ?? node.seed } : settings,
    })]);
  }

  async run(begin) {
    this.notice.say("");
    try {
      const settings = this.settings();
      this.working(true);
      await Promise.all(begin(settings));
    } catch (error) {
      this.notice.say(error);
    } finally {
      this.working(this.busy);
    }
  }

  working(on) {
    const [here, gone] = on ? [this.stopButton, this.go] : [this.go, this.stopButton];
    const focused = document.activeElement === gone; // which an element loses when it is hidden
    here.hidden = false;
    gone.hidden = true;
    if (focused) here.focus();
  }

  get open() {
    return this.sheets.filter((sheet) => !sheet.element.hidden);
  }

  stop() {
    for (const sheet of this.sheets) sheet.stop();
    this.working(false);
    this.go.focus();
  }

  /** Whether texts can be compared with the training text. */
  get canCompare() {
    return Boolean(this.page.api.copied);
  }

  /** Opens a text, without its prompt, in the view Copied. */
  compare({ model, tokens, given }) {
    const text = tokens.map((token) => token.text).join("");
    this.page.pick(model);
    this.page.show("copied").take(text.slice(given));
  }

  /** Shows a branch again. */
  show(node) {
    const sheet = this.sheets[node.sheet].element.hidden ? this.sheets[0] : this.sheets[node.sheet];
    if (sheet.running) return;
    sheet.show(node);
    sheet.element.scrollIntoView({ block: "nearest" });
  }
}

function moreFields() {
  const stop = field("Stop at", el("input", { type: "text", autocomplete: "off" }), "text that ends it");
  stop.read = () => {
    const text = stop.querySelector("input").value.replaceAll("\\n", "\n");
    return text ? [text] : [];
  };
  return {
    topP: numberField("Top-p", { value: 1, min: 0.01, max: 1, step: "any", empty: 1 }),
    minP: numberField("Min-p", { value: 0, min: 0, max: 1, step: "any", empty: 0 }),
    penalty: numberField("Repetition penalty", { value: 1, min: 0.1, max: 10, step: "any", empty: 1 }),
    stop,
    seed: numberField("Seed", { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, empty: null, hint: "empty: a new one" }),
  };
}
