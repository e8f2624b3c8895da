// The trainings that this browser has kept: what was interrupted goes on, what has learned is used.

import { spark } from "./curves.js";
import { el, fill } from "./dom.js";
import { decimal, t } from "../words.js";

export class KeptRuns {
  /** ongoon(name), onopen(name, part), ondownload(name), onsave(name), onremove(name). */
  constructor(does) {
    this.does = does;
    this.list = el("ul", { class: "runs kept" });
    this.interrupted = el("div", { class: "interrupted", hidden: true });
    this.element = el("section", { class: "runbox", "aria-label": t("Trained in this browser"), hidden: true }, el("h2", {}, t("Trained in this browser")),
      el("p", { class: "hint" }, t("They are kept here until you delete them, and nowhere else.")), this.list);
  }

  /** runs: of the database; lessons: those that are shown already. */
  show(runs, lessons) {
    const others = runs.filter(({ name }) => !lessons.some((lesson) => lesson.name === name));
    const key = JSON.stringify([others.map(({ name, changed }) => [name, changed]), lessons.some(({ running }) => running)]);
    if (key === this.drawn) return;
    this.drawn = key;
    const open = lessons.some(({ running }) => running) ? [] : others.filter(({ phase }) => phase === "open");
    this.interrupted.hidden = !open.length;
    fill(this.interrupted, open.map((run) => el("p", {}, t("A training of {name} was interrupted at {percent} %.", { name: run.name, percent: Math.floor((100 * run.step) / run.steps) }), " ",
      el("button", { type: "button", class: "primary", onclick: () => this.does.ongoon(run.name) }, t("Go on")))));
    this.element.hidden = !others.length;
    fill(this.list, others.map((run) => this.item(run)));
  }

  item({ name, phase, step, steps, family, metrics }) {
    const bits = metrics.map((row) => row.val_bits_per_char).filter(Number.isFinite);
    const button = (label, onclick) => el("button", { type: "button", class: "quiet small", "aria-label": `${label}: ${name}`, onclick }, label);
    const { ongoon, onopen, ondownload, onsave, onremove } = this.does;
    return el("li", {}, el("b", {}, name), spark(bits), el("span", { class: "small" }, bits.length ? decimal(bits.at(-1), 2) : ""),
      el("span", { class: "small" }, phase === "finished" ? family : `${family} · ${Math.floor((100 * step) / steps)}\u00a0%`),
      el("span", { class: "actions" }, phase !== "finished" && button(t("Go on"), () => ongoon(name)), button(t("Open in Write"), () => onopen(name, "write")),
        button(t("Download the run"), () => ondownload(name)), button(t("Save as one file"), () => onsave(name)), button(t("Delete"), () => onremove(name))));
  }
}
