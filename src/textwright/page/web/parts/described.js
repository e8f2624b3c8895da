// A line that describes a model.

import { grouped, many, t } from "../words.js";

export function described(model) {
  if (!model) return "";
  const reads = { char: t("characters"), word: t("words"), bpe: t("parts of words") }[model.tokenizer];
  return [
    model.family,
    model.parameters && many(model.parameters, "{count} parameter", "{count} parameters"),
    reads && t("knows {count} {units}", { count: grouped(model.vocab_size), units: reads }),
    model.block_size && t("sees {count} at a time", { count: grouped(model.block_size) }),
  ].filter(Boolean).join(" · ");
}
