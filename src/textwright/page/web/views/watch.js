// Watch it learn: the sample of each evaluation, from one prompt and seed, and the loss curves.

import { clock, el, fill, grouped, number } from "../parts/dom.js";
import { curves } from "../parts/curves.js";
import { notice, sliderField } from "../parts/fields.js";

export class WatchView {
  static id = "watch";
  static title = "Watch it learn";
  static brief = "Watch";
  static icon = "watch";

  constructor(page) {
    this.page = page;
    this.notice = notice();
    this.slider = sliderField("Evaluation", { value: 0, min: 0, max: 1, step: 1 });
    this.slider.input.addEventListener("input", () => this.show());
    this.text = el("div", { class: "tokens" });
    this.numbers = el("dl", { class: "numbers" });
    this.curves = el("div", { class: "curves" });
    this.stage = el(
      "div", { class: "lens", hidden: true },
      el("article", { class: "sheet" }, el("div", { class: "sheethead" }, this.slider), this.text),
      el("aside", { class: "side" }, this.numbers, el("h2", {}, "Loss"), this.curves, el("p", { class: "hint" }, "Nats a token; the line marks the evaluation on the left.")),
    );
    this.element = el("section", { class: "view plain", "aria-label": "Watch it learn" },
      el("p", { class: "about" }, "The same prompt and seed at every evaluation of the training, from the first to the last."), this.notice, this.stage);
  }

  modelChanged(model) {
    if (this.name === model?.name) return;
    this.name = model?.name;
    this.stage.hidden = true;
    if (this.name) this.load(this.name);
  }

  async load(name) {
    this.notice.say("");
    try {
      const told = await this.page.api.timeline({ model: name });
      if (name !== this.name) return;
      this.told = told;
    } catch (error) {
      this.notice.say(error);
      return;
    }
    this.stage.hidden = !this.told.samples.length;
    if (this.stage.hidden) {
      this.notice.tell(`${name} came without the samples of its training; a run that was trained here has them.`);
      return;
    }
    const last = this.told.samples.length - 1;
    this.slider.input.max = last;
    this.slider.set(last);
    this.show();
  }

  show() {
    const { samples, metrics } = this.told;
    const at = this.slider.read();
    this.slider.set(at);
    const { step, prompt, text } = samples[at];
    const metric = metrics.find((one) => one.step === step) ?? {};
    this.slider.querySelector("output").textContent = `${at + 1} of ${samples.length}`;
    this.slider.input.setAttribute("aria-valuetext", `step ${step}`);
    fill(this.text, prompt && el("b", {}, prompt), text.startsWith(prompt) ? text.slice(prompt.length) : text);
    fill(this.numbers, number("step", grouped(step)), metric.seconds !== undefined && number("time", clock(metric.seconds)),
      metric.val_bits_per_char != null && number("bits a character", metric.val_bits_per_char.toFixed(2)));
    fill(this.curves, curves(metrics, step));
  }
}
