// Watch it learn: what a model wrote at each evaluation of its training, as a film, with its curve.

import { curves } from "../parts/curves.js";
import { clock, el, fill, number } from "../parts/dom.js";
import { notice, sliderField } from "../parts/fields.js";
import { help } from "../parts/help.js";
import { decimal, grouped, later, t } from "../words.js";

const FRAME = 1400; // milliseconds that an evaluation stays
const AGAIN = 3000; // milliseconds until a run that is being trained is looked at again

export class WatchView {
  static id = "watch";
  static title = later("Watch it learn");
  static brief = later("Watch");
  static icon = "watch";

  constructor(page) {
    this.page = page;
    this.notice = notice();
    this.slider = sliderField(t("Evaluation"), { value: 0, min: 0, max: 1, step: 1 });
    this.slider.input.addEventListener("input", () => { this.pause(); this.show(); });
    this.play = el("button", { type: "button", class: "primary", onclick: () => (this.playing ? this.pause() : this.begin()) }, t("Play"));
    this.text = el("div", { class: "tokens film", dir: "auto" });
    this.numbers = el("dl", { class: "numbers" });
    this.curves = el("div", { class: "curves" });
    this.stage = el("div", { class: "lens", hidden: true },
      el("article", { class: "sheet" }, el("div", { class: "sheethead filmhead" }, this.play, this.slider), this.text),
      el("aside", { class: "side" }, this.numbers, el("h2", {}, t("Loss"), help("loss")), this.curves, el("p", { class: "hint" }, t("Nats a token; the dot is the evaluation on the left."))));
    this.element = el("section", { class: "view plain", "aria-label": t("Watch it learn") },
      el("h1", {}, t("Watch it learn")), el("p", { class: "about" }, t("The same beginning and the same dice at every evaluation of the training: what changes is the model.")), this.notice, this.stage);
  }

  modelChanged(model) {
    if (this.name !== model?.name) {
      this.pause();
      this.stage.hidden = true;
      this.told = null;
    }
    this.name = model?.name;
    if (this.here && this.name) this.load();
  }

  entered() {
    this.here = true;
    if (this.name) this.load();
  }

  left() {
    this.here = false;
    clearTimeout(this.timer);
    this.pause();
  }

  /** Loads the story of the model; goes on looking while it is being trained. */
  async load() {
    clearTimeout(this.timer);
    const { name } = this;
    const first = this.told === null || this.told?.name !== name;
    try {
      const told = await this.page.api.timeline({ model: name });
      if (name !== this.name || !this.here) return;
      const news = told.samples.length !== this.told?.samples?.length || first;
      this.told = { ...told, name };
      this.notice.say("");
      if (news) this.arrived(first);
    } catch (error) {
      this.notice.say(error);
    }
    if (this.page.store.get("training")?.run === name) this.timer = setTimeout(() => this.load(), AGAIN);
  }

  arrived(first) {
    const { samples } = this.told;
    this.stage.hidden = !samples.length;
    if (!samples.length) return this.notice.tell(t("{name} came without the samples of its training; a run that was trained here has them.", { name: this.name }));
    const atEnd = this.slider.read() >= Number(this.slider.input.max);
    this.slider.input.max = Math.max(1, samples.length - 1);
    if (first) {
      this.slider.set(0);
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.slider.set(samples.length - 1);
      else return this.begin();
    } else if (atEnd && !this.playing) this.slider.set(samples.length - 1);
    this.show();
  }

  begin() {
    if (this.slider.read() >= this.told.samples.length - 1) this.slider.set(0);
    this.playing = true;
    this.play.textContent = t("Pause");
    this.tick();
  }

  tick() {
    this.show();
    clearTimeout(this.film);
    if (this.slider.read() >= this.told.samples.length - 1) return this.pause();
    this.film = setTimeout(() => {
      this.slider.set(this.slider.read() + 1);
      this.tick();
    }, FRAME);
  }

  pause() {
    this.playing = false;
    clearTimeout(this.film);
    this.play.textContent = t("Play");
  }

  show() {
    const { samples, metrics } = this.told;
    const at = Math.min(this.slider.read(), samples.length - 1);
    this.slider.set(at);
    const { step, prompt, text } = samples[at];
    const metric = metrics.find((one) => one.step === step) ?? {};
    this.slider.querySelector("output").textContent = t("{at} of {of}", { at: at + 1, of: samples.length });
    this.slider.input.setAttribute("aria-valuetext", t("step {step}", { step }));
    fill(this.text, prompt && el("b", {}, prompt), text.startsWith(prompt) ? text.slice(prompt.length) : text);
    fill(this.numbers, number(t("step"), grouped(step)), metric.seconds != null && number(t("time"), clock(metric.seconds)),
      metric.val_bits_per_char != null && number(t("bits a character"), decimal(metric.val_bits_per_char, 2)));
    fill(this.curves, curves(metrics, step));
  }
}
