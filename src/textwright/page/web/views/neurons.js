// A neuron's activation over a text, the neurons that follow features of it or what is marked there, and
// one held up or down. Of an attention model the neurons are the channels of its residual stream.

import { el, fill } from "../parts/dom.js";
import { numberField, selectField } from "../parts/fields.js";
import { help } from "../parts/help.js";
import { best, followers } from "../parts/correlation.js";
import { Player } from "../parts/player.js";
import { TokenText } from "../parts/tokens.js";
import { colours, draw, mix } from "../parts/canvas.js";
import { decimal, later, t } from "../words.js";

const SHOWN = 6; // neurons that follow what is marked

export class Neurons {
  caption = later("How strongly one neuron is on after each token: blue below zero, red above. Mark a stretch of the text: which neurons follow it?");

  constructor(page) {
    this.layer = selectField(t("Layer"), []);
    this.unit = numberField(t("Neuron"), { value: 0, min: 0, step: 1, empty: 0 });
    this.layer.input.addEventListener("change", () => this.choose(Number(this.layer.read()), 0));
    this.unit.input.addEventListener("input", () => this.chooseTyped());
    const step = (by, text, name) => el("button", { type: "button", class: "quiet", "aria-label": name, onclick: () => this.choose(this.at.layer, (this.at.unit + by + this.width) % this.width) }, text);
    this.text = new TokenText({ label: t("The passage"), onpoint: (index) => this.point(index), onmark: (from, to) => this.mark(from, to) });
    this.text.element.classList.add("units");
    this.found = el("div", { class: "cards" });
    this.marked = el("div", { class: "cards" });
    this.markedBox = el("section", { hidden: true }, el("h2", {}, t("Neurons that follow what you marked")), this.marked);
    this.value = el("p", { class: "status", role: "status" });
    this.map = el("canvas", { class: "map", role: "img", "aria-label": t("All neurons of the layer over the passage; click one to see it"), onclick: (event) => this.pick(event) });
    this.player = new Player(page);
    this.element = el(
      "div", { class: "lens" },
      el("div", { class: "sheet" },
        el("div", { class: "controls sheethead" }, this.layer, this.unit, el("div", { class: "actions" }, step(-1, "‹", t("The neuron before")), step(1, "›", t("The next neuron")))),
        this.text.element, el("footer", {}, this.value), this.player.element),
      el("aside", { class: "side" }, this.markedBox,
        el("h2", {}, t("Neurons that follow …"), help("neuron")),
        el("p", { class: "hint" }, t("Found by correlation over this passage. That a neuron moves with something does not say what it is for.")),
        this.found, el("h2", {}, t("All at once")), el("p", { class: "hint" }, t("A row is a neuron, a column a token. Click a row.")), this.map),
    );
  }

  /** units: layers[layer][token], a vector of values between −1 and 1, times `peaks[layer][unit]` where those are given. */
  show({ tokens, units, peaks = null }) {
    Object.assign(this, { tokens, layers: units, peaks });
    fill(this.layer.input, units.map((_, number) => el("option", { value: String(number) }, String(number + 1))));
    this.layer.hidden = units.length < 2;
    this.text.show(tokens.map(({ text, shown }) => ({ text, shown, logprob: null })));
    this.markedBox.hidden = true;
    const found = followers(tokens.map(({ text }) => text), units);
    fill(this.found, found.map((one) => this.card(one, t(one.feature.title))));
    const first = found.reduce((a, b) => (Math.abs(b.r ?? 0) > Math.abs(a.r ?? 0) ? b : a));
    this.choose(first.layer, first.unit);
  }

  get width() {
    return this.layers[this.at.layer][0].length;
  }

  nameOf(layer, unit) {
    return this.layers.length > 1 ? t("layer {layer}, neuron {unit}", { layer: layer + 1, unit }) : t("neuron {unit}", { unit });
  }

  card({ layer, unit, r }, title) {
    if (r === null) return el("div", { class: "card none" }, el("b", {}, title), el("span", { class: "small" }, t("too little of it in this passage")));
    const name = this.nameOf(layer, unit);
    return el("button", { type: "button", class: "card", "data-key": `${layer}.${unit}`, onclick: () => this.choose(layer, unit) },
      el("b", {}, title ?? name), el("span", { class: "small" }, `${title ? `${name} · ` : ""}r\u00a0=\u00a0${decimal(r, 2)}`));
  }

  /** Which neurons follow the tokens from one up to another, that one left out. */
  mark(from, to) {
    const inside = this.tokens.map((_, index) => Number(index >= from && index < to));
    const found = best(inside, this.layers, SHOWN);
    this.text.tokens.forEach((_, index) => this.text.span(index).classList.toggle("marked", Boolean(inside[index])));
    fill(this.marked, found.map((one) => this.card(one, null)));
    this.markedBox.hidden = !found.length;
    if (found.length) this.choose(found[0].layer, found[0].unit);
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
    for (const card of this.element.querySelectorAll("[data-key]")) card.setAttribute("aria-pressed", String(card.dataset.key === `${layer}.${unit}`));
    this.drawMap();
    this.value.textContent = t("Neuron {unit} of {width}", { unit, width: this.width });
    this.player.choose({ layer, unit, peak: this.peaks ? this.peaks[layer][unit] : 1, most: this.peaks ? 2 : 1, name: this.nameOf(layer, unit) });
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
