// "?": what a word means, in two sentences and a small picture, where the word stands.

import { el, svg } from "./dom.js";
import { later, t } from "../words.js";

const WORDS = {
  token: [later("Token"), later("A model reads and writes in small pieces, its tokens: characters, words or parts of words. It writes one after the other, each time asking itself what may follow."), "M4 8h8v16H4zM16 8h16v16H16zM36 8h6v16h-6zM46 8h14v16H46z"],
  probability: [later("Probability"), later("For each token that could come next the model says how likely it is; together they make 100 %. A die with as many sides, some wide and some narrow, decides."), "M4 24h8V4H4zM18 24h8V12h-8zM32 24h8v-6h-8zM46 24h8v-3h-8z"],
  temperature: [later("Temperature"), later("Low, the model takes nearly always what it thinks likeliest: safe, and soon repeating itself. High, it dares more, and errs more."), "M4 24C14 24 18 4 24 4s10 20 18 20 M4 24C16 18 20 14 28 14s18 6 32 10"],
  topk: [later("Top-k, top-p, min-p"), later("They keep the die from the unlikely: top-k lets it choose among the k likeliest, top-p among the likeliest that make up that share. Min-p leaves out what is that much less likely than the first."), "M4 24h8V4H4zM18 24h8V10h-8zM32 26V2M40 24h4v-4h-4zM50 24h4v-2h-4z"],
  bits: [later("Bits of surprise"), later("How surprised the model was: 1 bit, had it given that token one half; 2 bits, a quarter; 10 bits, a thousandth. The fewer bits a character, the better it knows such text."), "M4 24h6v-4H4zM16 24h6v-8h-6zM28 24h6V8h-6zM40 24h6V2h-6z"],
  loss: [later("Loss"), later("The mean surprise over a text while it learns, in nats (1 nat is 1.44 bits). It should fall on text kept apart too: where only the other falls on, the model learns by heart."), "M4 4c4 14 12 18 56 20M4 6c6 12 16 14 30 14s20-4 26-6"],
  head: [later("Head"), later("An attention head looks back from each token at those before it, and at some more than others. What it looks at decides what it can use to guess the next one."), "M58 20C40 0 20 0 8 18M58 20C48 8 40 8 32 18M4 22h8M28 22h8M54 22h8"],
  neuron: [later("Neuron"), later("One number of the many that the model carries from token to token. Some rise and fall with something one can name: inside quotes, the end of a line."), "M4 14h10l6-10 8 20 6-14 6 8h20"],
};

let count = 0;

export function help(word) {
  const [name, text, path] = WORDS[word];
  const id = `help-${++count}`;
  const box = el("span", { class: "help-text", id, role: "note", hidden: true },
    svg("svg", { viewBox: "0 0 64 28", "aria-hidden": "true" }, svg("path", { d: path })), el("b", {}, t(name)), ` ${t(text)}`);
  const button = el("button", { type: "button", class: "help", "aria-label": t("What is that: {word}?", { word: t(name) }), "aria-expanded": "false", "aria-controls": id, onclick: (event) => {
    event.preventDefault();
    box.hidden = !box.hidden;
    button.setAttribute("aria-expanded", String(!box.hidden));
  }, onkeydown: (event) => {
    if (event.key !== "Escape" || box.hidden) return;
    event.stopPropagation();
    button.click();
  } }, "?");
  return el("span", { class: "helped" }, button, box);
}
