// One training of this tab: how far it is, what it writes, its knobs, and what can be done with it.

import { clock, el, fill, number } from "./dom.js";
import { sliderField } from "./fields.js";
import { help } from "./help.js";
import { TokenText } from "./tokens.js";
import { amount, decimal, grouped, later, many, t } from "../words.js";

const OLDER = 6; // samples that are shown below the newest
const PHASES = {
  planned: later("Ready to learn"), training: later("Learning"), measuring: later("Measuring what it has learned …"), paused: later("Paused"),
  finished: later("Trained"), stopped: later("Stopped"), failed: later("Failed"),
};

export class LessonPart {
  /** name: of the training; does: what its buttons do, by their names. */
  constructor(name, does) {
    const button = (label, onclick, rest = {}) => el("button", { type: "button", onclick, ...rest }, label);
    this.status = el("p", { class: "phase", role: "status" });
    this.clock = el("p", { class: "status" });
    this.bar = el("progress", { "aria-label": t("How much of the time has passed"), max: 1 });
    this.lines = el("div", { class: "verdict" });
    this.pause = button(t("Pause"), () => does.pause(name));
    this.goOn = button(t("Go on"), () => does.goOn(name), { class: "primary" });
    this.stop = button(t("Stop"), () => does.stop(name), { class: "stop" });
    this.write = button(t("Open in Write"), () => does.open(name, "write"));
    this.look = button(t("Look inside"), () => does.open(name, "look"), { class: "small" });
    this.download = button(t("Download the run"), () => does.download(name, this), { class: "small", title: t("All files of its training in one archive, for textwright on a computer") });
    this.file = button(t("Save as one file"), () => does.save(name), { class: "small", title: t("The model and this page in one HTML file that works without a server") });
    this.uses = [this.write, this.look, this.download, this.file];
    this.commands = el("div", { class: "commands" });
    this.rate = sliderField(t("Learning rate"), { value: 0, min: -4, max: 3, step: 0.5 });
    this.temperature = sliderField(t("Temperature of the sample"), { value: 0.8, min: 0.1, max: 1.5, step: 0.1 });
    this.rate.input.addEventListener("input", () => this.sayRate());
    this.rate.input.addEventListener("change", () => does.rate(name, factorOf(this.rate.read())));
    this.temperature.input.addEventListener("change", () => does.temperature(name, this.temperature.read()));
    this.temperature.querySelector("label").append(help("temperature"));
    this.knobs = el("div", { class: "knobs" }, this.rate, this.temperature);
    this.numbers = el("dl", { class: "numbers" });
    this.heading = el("h2", { class: "when" });
    this.text = new TokenText({ label: t("What it writes just now") });
    this.older = el("div", { class: "samples" });
    this.sheet = el("article", { class: "sheet" }, el("section", { class: "sample latest" }, this.heading, this.text.element));
    this.past = el("article", { class: "sheet past" }, this.older);
    this.story = el("div", { class: "story" }, this.status, this.clock, this.bar, this.lines, el("div", { class: "actions" }, this.pause, this.goOn, this.stop, this.uses), this.commands);
    this.element = el("section", { class: "lesson", "aria-label": name }, this.story, this.numbers, this.knobs, this.sheet, this.past);
  }

  show(told) {
    const { name, plan, phase, running, problem, metrics, seconds, left, message } = told;
    const elsewhere = problem === "elsewhere";
    const trouble = elsewhere ? t("It learns in another tab of this browser.") : problem || message;
    const said = trouble ? `${t(PHASES[phase])}: ${trouble}` : t(PHASES[phase]);
    if (this.said !== said) this.status.textContent = this.said = said;
    this.status.className = `phase ${phase}`;
    const speed = told.tokens_per_second > 0 && many(told.tokens_per_second, "{count} character a second", "{count} characters a second");
    const time = running ? (left > 1 ? t("{time}, about {left} left", { time: clock(seconds), left: clock(left) }) : t("{time}, about to end", { time: clock(seconds) })) : clock(seconds);
    fill(this.clock, el("b", {}, name), ` · ${[plan.family, plan.size, time, running && speed].filter(Boolean).join(" · ")}`);
    this.bar.hidden = phase === "finished";
    this.bar.value = told.step / told.steps;
    fill(this.lines, this.remarks(told).map((line) => el("p", { class: "hint" }, line)));
    this.lines.hidden = !this.lines.childElementCount;
    swap(this.pause, this.goOn, !running);
    this.goOn.hidden ||= phase === "finished" || phase === "planned" || (phase === "failed" && !problem);
    this.pause.hidden ||= phase === "measuring";
    this.stop.hidden = elsewhere || (!running && phase !== "paused");
    this.write.className = running ? "small" : "primary";
    for (const each of this.uses) each.hidden = !metrics.length;
    this.knobs.hidden = this.stop.hidden;
    this.set(told);
    this.draw(told);
  }

  remarks({ phase, slow, back, running, unkept, notes, verdict, tokens_per_second: now, first_tokens_per_second: first }) {
    return [
      running && document.hidden && t("This tab is in the background: browsers give it less time."),
      running && slow && t("It learns at {now} characters a second, at first it was {first}: the device is hot, saves power, or is busy. Pause for a while; nothing is lost.", { now: grouped(now), first: grouped(first) }),
      running && back && !document.hidden && t("While this tab was in the background it may have learned more slowly."),
      unkept && t("This browser has no room to keep it: download the run before the tab is closed."),
      ...notes.map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`),
      phase === "finished" && verdict && `${verdict[0].toUpperCase()}${verdict.slice(1)}.`,
      phase === "paused" && t("It is kept in this browser: the tab may be closed, and it goes on from here."),
    ].filter(Boolean);
  }

  /** The knobs as they are, unless somebody has a hand on one. */
  set({ rate, temperature }) {
    if (document.activeElement === this.rate.input || document.activeElement === this.temperature.input) return;
    this.rate.set(Math.log2(rate));
    this.temperature.set(temperature);
    this.sayRate();
  }

  sayRate() {
    const factor = `×${amount(factorOf(this.rate.read()))}`;
    this.rate.querySelector("output").textContent = factor;
    this.rate.input.setAttribute("aria-valuetext", factor);
  }

  draw({ samples, step, best, plan }) {
    const newest = samples.at(-1);
    fill(this.numbers, number(t("step"), grouped(step)), best && number(t("bits a character"), decimal(best.val_bits_per_char, 2)), number(t("parameters"), grouped(plan.parameters ?? 0)));
    this.sheet.hidden = !newest;
    this.past.hidden ||= !newest;
    if (!newest || newest === this.drawn || this.text.alternatives.pinned) return;
    this.drawn = newest;
    this.heading.textContent = t("step {step}", { step: grouped(newest.step) });
    if (newest.tokens) this.text.show([...(newest.prompt ? [{ text: newest.prompt }] : []), ...newest.tokens]);
    else this.text.show([{ text: newest.text }]);
    this.past.hidden = samples.length < 2;
    fill(this.older, samples.slice(-OLDER - 1, -1).reverse().map(({ step: at, text }) => el("section", { class: "sample" }, el("h2", { class: "when" }, t("step {step}", { step: grouped(at) })), el("div", { class: "tokens", dir: "auto" }, text))));
  }

  /** How a run that was downloaded is used. */
  showCommands(name) {
    const lines = [`textwright import ${name}.zip`, `textwright generate ${name}`, `textwright serve ${name}`, `textwright train more.txt --from ${name}`];
    fill(this.commands, el("p", { class: "hint" }, t("With textwright on a computer, in the folder of the download:")), el("pre", { tabIndex: 0 }, lines.join("\n")));
  }
}

const factorOf = (doublings) => Number((2 ** doublings).toPrecision(2));

function swap(here, there, on) {
  const focused = document.activeElement === (on ? here : there);
  here.hidden = on;
  there.hidden = !on;
  if (focused) (on ? there : here).focus();
}
