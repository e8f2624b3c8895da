// The attention weights of each head, from each token to those before it.

import { el, fill, percent, visible } from "../parts/dom.js";
import { help } from "../parts/help.js";
import { TokenText } from "../parts/tokens.js";
import { colours, draw, mix } from "../parts/canvas.js";
import { later, t } from "../words.js";

export class Attention {
  caption = later("Point at a token, or tap it: the colours show where the head looks from there to guess the next one.");

  constructor() {
    this.heads = el("div", { class: "heads", role: "group", "aria-label": t("Heads") });
    this.text = new TokenText({ label: t("The passage"), onpoint: (index) => this.point(index) });
    this.text.element.classList.add("attended");
    this.map = el("canvas", { class: "map square", role: "img", "aria-label": t("What each token attends to: a row is a token, a column one it looks at") });
    this.value = el("p", { class: "status", role: "status" });
    this.title = el("h2", {});
    this.element = el(
      "div", { class: "lens" },
      el("div", { class: "sheet" }, this.text.element, el("footer", {}, this.value)),
      el("aside", { class: "side" }, el("h2", {}, t("Heads"), help("head")), el("p", { class: "hint" }, t("A row of pictures is a layer. Choose a head.")), this.heads, this.title, this.map),
    );
  }

  show({ tokens, attention: layers }) {
    this.layers = layers;
    this.text.show(tokens.map(({ text, shown }) => ({ text, shown, logprob: null })));
    this.index = tokens.length - 1;
    const count = layers[0][0].length;
    this.heads.style.setProperty("--heads", count);
    fill(this.heads, layers.flatMap((_, layer) => Array.from({ length: count }, (_, head) => this.thumbnail(layer, head))));
    this.choose(layers.length - 1, 0);
  }

  thumbnail(layer, head) {
    const canvas = el("canvas", { "aria-hidden": "true" });
    this.picture(canvas, layer, head, 48);
    return el("button", { type: "button", "data-key": `${layer}.${head}`, "aria-label": nameOf(layer, head), onclick: () => this.choose(layer, head) }, canvas);
  }

  /** Rows attend to columns; the first `most` tokens of a long text. */
  picture(canvas, layer, head, most) {
    const rows = this.layers[layer].slice(0, most);
    const { panel, focus } = colours();
    const peak = rows.map((row) => Math.max(...row[head]));
    draw(canvas, rows.length, rows.length, (x, y) => mix(panel, focus, x > y ? 0 : Math.sqrt(rows[y][head][x] / peak[y])));
  }

  recolour() {
    for (const button of this.heads.children) this.picture(button.firstChild, ...button.dataset.key.split("."), 48);
    this.picture(this.map, this.at.layer, this.at.head, Infinity);
  }

  choose(layer, head) {
    this.at = { layer, head };
    for (const button of this.heads.children) button.setAttribute("aria-pressed", String(button.dataset.key === `${layer}.${head}`));
    this.title.textContent = nameOf(layer, head);
    this.picture(this.map, layer, head, Infinity);
    this.point(this.index);
  }

  point(index) {
    this.index = index;
    const weights = this.layers[this.at.layer][index][this.at.head];
    const peak = Math.max(...weights);
    this.text.tokens.forEach((_, place) => {
      const span = this.text.span(place);
      span.style.setProperty("--strength", place <= index ? `${Math.round(100 * Math.sqrt(weights[place] / peak))}%` : "0%");
      span.classList.toggle("from", place === index);
      span.classList.toggle("later", place > index);
    });
    const most = weights.indexOf(peak);
    const told = { from: visible(this.text.tokens[index].text), to: visible(this.text.tokens[most].text), back: index - most, share: percent(peak) };
    this.value.textContent = index === most ? t("From {from} this head looks most at itself: {share}", told) : t("From {from} this head looks most at {to}, {back} back: {share}", told);
  }
}

const nameOf = (layer, head) => t("Layer {layer}, head {head}", { layer: layer + 1, head: head + 1 });
