// A line about a text: how far it is, how surprising, how it ended.

import { bitsPerCharacter } from "../state/tokens.js";
import { amount, counted, decimal, grouped, t } from "../words.js";

export function told({ node, writing, model }) {
  if (writing) {
    if (!writing.done) return t("reading …");
    return t("{done} of {of}", { done: grouped(writing.done), of: counted(model, writing.of) });
  }
  const count = node.tokens.length;
  if (!count) return "";
  const bits = bitsPerCharacter(node.tokens);
  const ended = { stop: t("ended by itself"), stopped: t("stopped"), lost: t("cut off") }[node.reason];
  return [
    counted(model, count), bits !== null && t("{bits} bits of surprise a character", { bits: decimal(bits, 2) }),
    node.seed !== undefined && t("temperature {temperature}, seed {seed}", { temperature: amount(node.temperature), seed: node.seed }), ended,
  ].filter(Boolean).join(" · ");
}

