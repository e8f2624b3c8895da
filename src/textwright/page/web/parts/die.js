// What may come next: pale what the model thought, full what the die may choose, and where it fell.

import { el, fill, percent, visible } from "./dom.js";
import { packed, writable } from "../state/tokens.js";
import { help } from "./help.js";
import { t } from "../words.js";

const ROWS = 12;
const KEPT = 10; // alternatives that a token keeps

export class Die {
  /** onthrow(token): the die fell on it. */
  constructor({ onthrow }) {
    this.onthrow = onthrow;
    this.next = null;
    this.settings = null;
    this.rows = el("div", { class: "chances" });
    this.strip = el("div", { class: "strip", "aria-hidden": "true" });
    this.said = el("p", { class: "hint", role: "status" });
    this.button = el("button", { type: "button", class: "small", disabled: true, onclick: () => this.throw() }, t("Throw the die: one more"));
    this.element = el("section", { class: "die", "aria-label": t("What may come next") },
      el("h2", {}, t("What may come next"), help("probability")), this.rows, this.strip, el("div", { class: "actions" }, this.button), this.said);
  }

  /** next: {list, rest}, the likeliest first; null: not known now. */
  show(next, settings) {
    [this.next, this.settings] = [next, settings];
    this.element.classList.toggle("stale", next === null);
    if (!next) return void (this.button.disabled = true);
    this.button.disabled = false;
    this.chances = chances(next, settings);
    const most = Math.max(...next.list.slice(0, ROWS).map(({ logprob }, index) => Math.max(Math.exp(logprob), this.chances[index])));
    fill(this.rows, next.list.slice(0, ROWS).map(({ text, logprob }, index) => {
      const row = el("div", { class: `chance${this.chances[index] ? "" : " out"}` },
        el("span", { class: "what" }, visible(text)), el("span", { class: "bars" }, el("i", { class: "thought" }), el("i", { class: "may" })),
        el("span", { class: "share" }, percent(this.chances[index])));
      row.style.setProperty("--thought", `${(100 * Math.exp(logprob)) / most}%`);
      row.style.setProperty("--may", `${(100 * this.chances[index]) / most}%`);
      return row;
    }));
    fill(this.strip, next.list.slice(0, ROWS).map((_, index) => {
      const part = el("i", { class: index % 2 ? "odd" : "" });
      part.style.setProperty("--width", `${100 * this.chances[index]}%`);
      return part;
    }));
  }

  /** Throws it, and tells where it fell. */
  throw() {
    if (!this.next) return;
    const fell = crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32;
    let reached = 0;
    const index = this.chances.findIndex((chance, at) => (reached += chance) > fell && writable(this.next.list[at].text));
    const { text, logprob } = this.next.list[Math.max(0, index)];
    this.strip.append(el("b", { class: "fell" }));
    this.strip.style.setProperty("--fell", `${100 * fell}%`);
    this.said.textContent = t("It fell on {place}: {token}, which had {share}.", { place: percent(fell), token: visible(text), share: percent(this.chances[Math.max(0, index)]) });
    const [chosen, list] = [{ text, shown: text, logprob }, this.next.list.slice(0, KEPT)];
    this.button.disabled = true;
    this.onthrow({ ...chosen, alts: packed(list) });
  }
}

/**
 * The probability of each of the likeliest tokens after temperature, top-k, top-p and min-p, in that
 * order, as `Sampler` has it. Tokens beyond the list are taken to share what is left evenly.
 */
function chances({ list, rest }, { temperature, topK, topP, minP }) {
  if (temperature === 0) return list.map((_, index) => (index ? 0 : 1));
  const most = list[0].logprob;
  const weights = list.map(({ logprob }) => Math.exp((logprob - most) / temperature));
  const left = Math.max(0, 1 - list.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0));
  let beyond = rest > 0 && left > 0 && !topK ? rest * Math.exp((Math.log(left / rest) - most) / temperature) : 0;
  const allowed = weights.map((_, index) => !topK || index < topK);
  const total = () => weights.reduce((sum, weight, index) => sum + (allowed[index] ? weight : 0), beyond);
  if (topP < 1) {
    const limit = topP * total();
    let sum = 0;
    weights.forEach((weight, index) => {
      if (!allowed[index]) return;
      if (sum >= limit) allowed[index] = false;
      else sum += weight;
    });
    if (sum >= limit) beyond = 0;
  }
  if (minP > 0) {
    weights.forEach((weight, index) => (allowed[index] &&= weight >= minP));
    beyond = 0;
  }
  const whole = total();
  return weights.map((weight, index) => (allowed[index] ? weight / whole : 0));
}
