// A neuron's activation over a text, and the neurons that correlate with features of it.

import { el, fill } from "../parts/dom.js";
import { numberField, selectField } from "../parts/fields.js";
import { help } from "../parts/help.js";
import { followers } from "../parts/correlation.js";
import { TokenText } from "../parts/tokens.js";
import { colours, draw, mix } from "../parts/canvas.js";
import { decimal, later, t } from "../words.js";

export class Neurons {
  caption = later("How strongly one neuron is on after each token: blue below zero, red above.");

  constructor() {
    this.layer = selectField(t("Layer"), []);
    this.unit = numberField(t("Neuron"), { value: 0, min: 0, step: 1, empty: 0 });
    this.layer.input.addEventListener("change", () => this.choose(Number(this.layer.read()), 0));
    this.unit.input.addEventListener("input", () => this.chooseTyped());
    const step = (by, text, name) => el("button", { type: "button", class: "quiet", "aria-label": name, onclick: () => this.choose(this.at.layer, (this.at.unit + by + this.width) % this.width) }, text);
    this.text = new TokenText({ label: t("The passage"), onpoint: (index) => this.point(index) });
    this.text.element.classList.add("units");
    this.found = el("div", { class: "cards" });
    this.value = el("p", { class: "status", role: "status" });
    this.map = el("canvas", { class: "map", role: "img", "aria-label": t("All neurons of the layer over the passage; click one to see it"), onclick: (event) => this.pick(event) });
    this.element = el(
      "div", { class: "lens" },
      el("div", { class: "sheet" },
        el("div", { class: "controls sheethead" }, this.layer, this.unit, el("div", { class: "actions" }, step(-1, "‹", t("The neuron before")), step(1, "›", t("The next neuron")))),
        this.text.element, el("footer", {}, this.value)),
      el("aside", { class: "side" },
        el("h2", {}, t("Neurons that follow …"), help("neuron")),
        el("p", { class: "hint" }, t("Found by correlation over this passage. That a neuron moves with something does not say what it is for.")),
        this.found, el("h2", {}, t("All at once")), el("p", { class: "hint" }, t("A row is a neuron, a column a token. Click a row.")), this.map),
    );
  }

  show({ tokens, layers }) {
    this.layers = layers;
    this.tokens = tokens;
    fill(this.layer.input, layers.map((_, number) => el("option", { value: String(number) }, String(number + 1))));
    this.layer.hidden = layers.length < 2;
    this.text.show(tokens.map(({ text, shown }) => ({ text, shown, logprob: null })));
    const best = followers(tokens.map(({ text }) => text), layers);
    fill(this.found, best.map((found) => this.card(found)));
    const first = best.reduce((a, b) => (Math.abs(b.r ?? 0) > Math.abs(a.r ?? 0) ? b : a));
    this.choose(first.layer, first.unit);
  }

  get width() {
    return this.layers[this.at.layer][0].length;
  }

  card({ feature, layer, unit, r }) {
    if (r === null) return el("div", { class: "card none" }, el("b", {}, t(feature.title)), el("span", { class: "small" }, t("too little of it in this passage")));
    const name = this.layers.length > 1 ? t("layer {layer}, neuron {unit}", { layer: layer + 1, unit }) : t("neuron {unit}", { unit });
    return el("button", { type: "button", class: "card", "data-key": `${layer}.${unit}`, onclick: () => this.choose(layer, unit) },
      el("b", {}, t(feature.title)), el("span", { class: "small" }, `${name} · r\u00a0=\u00a0${decimal(r, 2)}`));
  }

  chooseTyped() {
    const unit = Number(this.unit.input.value);
    if (Number.isInteger(unit) && unit >= 0 && unit < this.width) this.choose(this.at.layer, unit);
  }

  choose(layer, unit) {
    this.at = { layer, unit };
    this.layer.input.value = String(layer);
    this.unit.input.max = this.width - 1;
    if (Number(this.unit.input.value) !== unit) this.unit.input.value = unit;
    this.layers[layer].forEach((vector, index) => paint(this.text.span(index), vector[unit]));
    for (const card of this.found.querySelectorAll("button")) card.setAttribute("aria-pressed", String(card.dataset.key === `${layer}.${unit}`));
    this.drawMap();
    this.value.textContent = t("Neuron {unit} of {width}", { unit, width: this.width });
  }

  point(index) {
    const value = this.layers[this.at.layer][index][this.at.unit];
    this.value.textContent = t("Neuron {unit} of {width}: {value} after this token", { unit: this.at.unit, width: this.width, value: decimal(value, 2) });
  }

  pick(event) {
    const box = this.map.getBoundingClientRect();
    this.choose(this.at.layer, Math.min(this.width - 1, Math.floor(((event.clientY - box.top) / box.height) * this.width)));
  }

  recolour() {
    this.drawMap();
  }

  drawMap() {
    const vectors = this.layers[this.at.layer].slice(0, 600);
    const { high, low, panel } = colours();
    draw(this.map, vectors.length, this.width, (x, y) => {
      const value = vectors[x][y];
      return mix(panel, value < 0 ? low : high, Math.abs(value));
    });
    this.map.style.setProperty("--row", `${((this.at.unit + 0.5) / this.width) * 100}%`);
  }
}

/** Colours a token by a value between −1 and 1. */
function paint(span, value) {
  span.style.setProperty("--strength", `${Math.min(100, Math.round(Math.abs(value) * 100))}%`);
  span.classList.toggle("low", value < 0);
  span.setAttribute("aria-label", `${span.textContent} ${decimal(value, 2)}`);
}
