// Look inside: surprise, hidden units and attention over a passage.

import { el, fill } from "../parts/dom.js";
import { grouped, later, t } from "../words.js";
import { field } from "../parts/fields.js";
import { PassageView, given, letWrite } from "../parts/passage.js";
import { segments } from "../parts/segments.js";
import { Attention } from "./attention.js";
import { Neurons } from "./neurons.js";
import { Surprise } from "./surprise.js";

const FIRST = 300; // tokens of the example that opens the part
const PASSAGE = { maxTokens: 900, temperature: 0.8, seed: 1 };

export class LookView extends PassageView {
  static id = "look";
  static title = later("Look inside");
  static brief = later("Look");
  static icon = "look";
  static more = {}; // lenses that a page on a server has besides

  constructor(page) {
    super(page, { placeholder: t("A passage to read. Or let the model write one."), first: FIRST });
    this.lenses = { surprise: new Surprise(), units: new Neurons(page), attention: new Attention() };
    for (const [id, Lens] of Object.entries(LookView.more)) this.lenses[id] = new Lens(page);
    this.choice = segments(t("What to look at"), [["surprise", t("Surprise")], ["units", t("Neurons")], ["attention", t("Attention")], ["models", t("Who wrote this?")]], (id) => this.turn(id));
    this.check = el("button", { class: "primary", type: "submit", disabled: true }, t("Look"));
    this.stage = el("div", { class: "stage", hidden: true });
    document.addEventListener("theme", () => this.redraw());
    this.caption = el("p", { class: "about" });
    this.element = el(
      "section", { class: "view look", "aria-label": t("Look inside") },
      el("h1", {}, t("Look inside")),
      el("form", { class: "desk", onsubmit: (event) => { event.preventDefault(); this.look(); } },
        field(t("Passage"), this.passage),
        el("div", { class: "actions" }, this.writeButton, this.check)),
      this.notice,
      el("div", { class: "lenses", "data-busy": t("reading …") }, this.choice, this.caption),
      this.stage,
    );
  }

  /** Redraws pictures in the colours of the new theme. */
  redraw() {
    if (this.seen) for (const lens of Object.values(this.lenses)) if (!lens.stale) lens.recolour?.();
  }

  changed(model) {
    this.seen = null;
    this.caption.textContent = "";
    const several = this.lenses.models && this.page.models.filter(({ state }) => state === "ready").length > 1;
    this.choice.offer(["surprise", ...(model?.block_size ? ["attention"] : []), "units", ...(several ? ["models"] : [])]);
    this.turn(model?.block_size ? "attention" : "units");
  }

  async letWrite(most = PASSAGE.maxTokens) {
    const maxTokens = Math.min(most, this.model.block_size ?? most);
    const prompt = this.model.talks ? "" : this.model.beginnings?.[0] ?? "";
    const request = { ...PASSAGE, model: this.model.name, prompt, maxTokens: maxTokens - prompt.length };
    await this.work.run(async (signal) => {
      await letWrite(this.passage, this.page.api, request, signal);
      await this.read(signal);
    });
  }

  async look() {
    if (!this.model || !given(this.passage, this.notice)) return;
    await this.work.run((signal) => this.read(signal));
  }

  async read(signal) {
    const text = this.passage.value || " ";
    this.seen = { ...(await this.page.api.look({ model: this.model.name, text }, signal)), text };
    const said = [...(this.seen.warnings ?? [])];
    if (this.seen.cut) said.push(t("a longer passage is cut: the first {count} tokens were read", { count: grouped(this.seen.tokens.length) }));
    if (said.length) this.notice.tell(said.join("; "));
    for (const lens of Object.values(this.lenses)) lens.stale = true;
    this.stage.hidden = false;
    this.stage.classList.remove("stale");
    this.turn(this.lens);
  }

  turn(id) {
    this.lens = id;
    this.choice.pick(id);
    const lens = this.lenses[id];
    if (!this.seen) return;
    fill(this.stage, lens.element);
    if (lens.stale) lens.show(this.seen);
    lens.stale = false;
    this.caption.textContent = t(lens.caption);
  }
}
