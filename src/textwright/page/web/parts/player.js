// Plays a neuron: holds it at a value, and shows what the model writes with it so, beside what it writes anyway.

import { el, fill } from "./dom.js";
import { notice, sliderField } from "./fields.js";
import { Work } from "./passage.js";
import { shade } from "../state/tokens.js";
import { decimal, t } from "../words.js";

const SOON = 250; // milliseconds after the slider rests
const LENGTH = 160;
const SETTINGS = { temperature: 0.7, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stop: [], maxTokens: LENGTH };

export class Player {
  constructor(page) {
    this.page = page;
    this.seed = 1;
    this.notice = notice();
    this.slider = sliderField(t("Held at"), { value: 0, min: -1, max: 1, step: 0.05 });
    this.slider.input.addEventListener("input", () => this.soon());
    this.button = el("button", { type: "button", class: "primary", onclick: () => this.play() }, t("Write with it held"));
    this.other = el("button", { type: "button", class: "small", onclick: () => { this.seed++; this.play(); } }, t("Other dice"));
    this.plain = el("div", { class: "tokens", dir: "auto" });
    this.held = el("div", { class: "tokens", dir: "auto" });
    this.title = el("h3", {});
    this.pair = el("div", { class: "pair", hidden: true },
      el("section", {}, el("h3", {}, t("As it is")), this.plain), el("section", {}, this.title, this.held));
    this.name = el("h2", {});
    this.element = el("section", { class: "player", "aria-label": t("Play a neuron") }, this.name,
      el("p", { class: "hint" }, t("Hold it up or down and see how the text changes: the same beginning and the same dice, once as the model is, once with this neuron at one value all the while.")),
      el("div", { class: "controls" }, this.slider, el("div", { class: "actions" }, this.other, this.button)), this.notice, this.pair);
    this.work = new Work(this);
  }

  /** Another neuron; `peak`: its largest value over the passage, by which the slider counts. */
  choose({ layer, unit, peak, name, most }) {
    this.work.abort();
    Object.assign(this, { layer, unit, peak });
    this.name.textContent = t("Play {neuron}", { neuron: name });
    this.slider.input.min = -most;
    this.slider.input.max = most;
    this.slider.set(most);
    this.pair.hidden = true;
    this.notice.say("");
  }

  soon() {
    clearTimeout(this.timer);
    if (!this.pair.hidden) this.timer = setTimeout(() => this.play(), SOON);
  }

  async play() {
    clearTimeout(this.timer);
    const { page, layer, unit, seed } = this;
    const { name: model, beginnings } = page.model;
    const value = this.slider.read() * this.peak;
    const request = { ...SETTINGS, model, seed, prompt: beginnings?.[0] ?? "" };
    this.pair.hidden = false;
    this.title.textContent = t("Held at {value}", { value: decimal(this.slider.read(), 2) });
    await this.work.run(async (signal) => {
      const same = JSON.stringify(request);
      await Promise.all([
        same !== this.written && this.write(this.plain, request, signal).then(() => (this.written = same)),
        this.write(this.held, { ...request, steer: [{ layer, unit, value }] }, signal),
      ]);
    });
  }

  async write(into, request, signal) {
    fill(into, el("b", {}, request.prompt));
    for await (const { token } of this.page.api.write(request, signal)) {
      signal.throwIfAborted();
      if (token) into.append(el("span", { class: `t s${shade(token.logprob)}` }, token.text));
    }
  }
}
