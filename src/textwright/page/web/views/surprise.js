// Surprise: the negative log probability of each token of a passage.

import { el, fill, number, percent, svg, visible } from "../parts/dom.js";
import { legend } from "../parts/legend.js";
import { TokenText } from "../parts/tokens.js";
import { alternatives } from "../state/tokens.js";
import { decimal, later, t } from "../words.js";

export class Surprise {
  caption = later("Each token in the colour of how little the model expected it. Click one for what it expected.");

  constructor() {
    this.text = new TokenText({ label: t("The passage") });
    this.numbers = el("dl", { class: "numbers" });
    this.list = el("ol", { class: "surprises" });
    this.line = el("div", { class: "sparkline" });
    this.element = el(
      "div", { class: "lens" },
      el("div", { class: "sheet" }, el("div", { class: "legendrow" }, legend()), this.text.element),
      el("aside", { class: "side" }, this.numbers, this.line, el("h2", {}, t("What surprised it most")), this.list),
    );
  }

  show(seen) {
    const tokens = seen.tokens.filter(({ logprob }) => logprob !== null); // tokens that open a conversation
    this.text.show(tokens);
    const bits = tokens.map(({ logprob }) => -logprob / Math.LN2);
    const count = Math.max(1, tokens.length);
    const total = bits.reduce((sum, value) => sum + value, 0);
    const characters = tokens.reduce((sum, { text }) => sum + [...text].length, 0);
    fill(
      this.numbers,
      number(t("bits a character"), decimal(total / Math.max(1, characters), 2)),
      number(t("perplexity a token"), decimal(Math.exp((total * Math.LN2) / count), 1)),
      number(t("expected best"), percent(tokens.filter((token) => token.logprob >= alternatives(token)[0].logprob - 1e-4).length / count)),
    );
    fill(this.line, sparkline(bits));
    const order = [...bits.keys()].sort((a, b) => bits[b] - bits[a]).slice(0, 8);
    fill(this.list, order.map((index) => this.item(tokens, index, bits[index])));
  }

  item(tokens, index, bits) {
    const around = (from, to) => tokens.slice(Math.max(0, from), to).map(({ text }) => text).join("").replace(/\s+/g, " ");
    const { text, shown } = tokens[index];
    const [best] = alternatives(tokens[index]);
    return el("li", {}, el("button", { type: "button", class: "node", onclick: () => { this.text.focus(index); this.text.open(index); } },
      el("span", { class: "line" }, around(index - 12, index).slice(-16), el("b", { class: "chip" }, visible(text)), around(index + 1, index + 12).slice(0, 14)),
      el("span", { class: "small" }, t("{bits} bits; expected {token} {share}", { bits: decimal(bits, 1), token: visible(best.text), share: percent(Math.exp(best.logprob)) })),
    ));
  }
}

/** Bits along the passage, averaged per pixel. */
function sparkline(bits) {
  const columns = Math.min(120, bits.length);
  const most = 8;
  const bars = Array.from({ length: columns }, (_, column) => {
    const piece = bits.slice(Math.floor((column * bits.length) / columns), Math.max(1, Math.ceil(((column + 1) * bits.length) / columns)));
    const height = Math.min(1, piece.reduce((sum, value) => sum + value, 0) / piece.length / most) * 40;
    return svg("rect", { x: column * 2, y: 40 - height, width: 1.5, height, rx: 0.6 });
  });
  return svg("svg", { viewBox: `0 0 ${columns * 2} 40`, role: "img", "aria-label": t("Surprise along the passage"), preserveAspectRatio: "none" }, ...bars);
}
