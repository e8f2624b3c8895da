// The models with their curves: one above the other, several laid over each other.

import { el, fill, svg } from "./dom.js";
import { spark } from "./curves.js";
import { decimal, t } from "../words.js";

const COLOURS = ["accent", "focus", "good", "care", "bad", "quiet"];

export class Runs {
  constructor(page) {
    this.page = page;
    this.timelines = new Map();
    this.over = new Set();
    this.list = el("ul", { class: "runs" });
    this.picture = el("div", { class: "overlay" });
    this.element = el("section", { class: "runbox", "aria-label": t("Runs"), hidden: true }, el("h2", {}, t("Runs so far")),
      el("p", { class: "hint" }, t("Bits a character on text kept apart, by the share of the training that is done. Tick several to lay them over each other.")), this.list, this.picture);
  }

  async look() {
    const models = this.page.models.filter(({ state }) => state === "ready");
    const training = this.page.store.get("training");
    for (const { name } of models) {
      if (this.timelines.has(name) && training?.run !== name) continue;
      const told = await this.page.api.timeline({ model: name }).catch(() => null);
      if (told) this.timelines.set(name, told.metrics.map((one) => one.val_bits_per_char ?? one.val_loss).filter(Number.isFinite));
    }
    const shown = models.filter(({ name }) => this.timelines.get(name)?.length > 1);
    if (!this.over.size) for (const { name } of shown.slice(0, 3)) this.over.add(name);
    this.element.hidden = !shown.length;
    fill(this.list, shown.map((model) => this.item(model)));
    this.draw();
  }

  item({ name, shipped }) {
    const values = this.timelines.get(name);
    const box = el("input", { type: "checkbox", checked: this.over.has(name), onchange: () => { this.over[box.checked ? "add" : "delete"](name); this.draw(); } });
    return el("li", {}, el("label", {}, box, el("b", {}, name)), spark(values), el("span", { class: "small" }, decimal(values.at(-1), 2)),
      el("span", { class: "small" }, shipped ? t("came along") : t("trained here")),
      el("button", { type: "button", class: "quiet small", onclick: async () => { await this.page.pick(name); this.page.go("watch"); } }, t("Watch it learn")));
  }

  draw() {
    const lines = [...this.over].filter((name) => this.timelines.has(name));
    const all = lines.flatMap((name) => this.timelines.get(name).slice(1));
    if (!all.length) return void fill(this.picture);
    const [least, most] = [Math.min(...all), Math.max(...all)];
    const y = (value) => 6 + ((most - Math.min(most, value)) / Math.max(1e-9, most - least)) * 120;
    const style = (index) => ({ class: `over-${COLOURS[index % COLOURS.length]}` });
    fill(this.picture, svg("svg", { viewBox: "0 0 480 150", role: "img", "aria-label": t("Curves of {names}", { names: lines.join(", ") }) },
      svg("text", { x: 30, y: 12, "text-anchor": "end" }, decimal(most, 1)), svg("text", { x: 30, y: 130, "text-anchor": "end" }, decimal(least, 1)),
      svg("path", { class: "axis", d: "M36 4V130H476" }),
      ...lines.map((name, index) => {
        const values = this.timelines.get(name);
        return svg("polyline", { ...style(index), points: values.map((value, at) => `${36 + (at / (values.length - 1)) * 438},${y(value)}`).join(" ") });
      })),
    el("p", { class: "key small" }, lines.map((name, index) => el("span", {}, el("i", style(index)), name))));
  }
}
