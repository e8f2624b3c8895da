// A model's config: as the page's runtime has it, as config.json, and as run.toml; `configs/families.py`.

import { t } from "../words.js";

const NAMES = {
  vocab_size: "vocab_size", hidden_size: "hidden_size", intermediate_size: "intermediate_size", num_layers: "num_hidden_layers",
  num_heads: "num_attention_heads", block_size: "max_position_embeddings", rms_norm_eps: "rms_norm_eps", rope_theta: "rope_theta",
  tie_embeddings: "tie_word_embeddings", dropout: "dropout",
};
const FIXED = { hidden_act: "silu", attention_bias: false, attention_dropout: 0, use_sliding_window: false };

/** The page's config of a model's settings: with what follows from them. */
export function completed(settings) {
  const { layer_sizes: _, head_size: __, ...plain } = settings;
  if (plain.family === "gpt") return { ...plain, head_size: plain.hidden_size / plain.num_heads };
  const widths = plain.hidden_size;
  return { ...plain, layer_sizes: Array.isArray(widths) ? widths : Array(plain.num_layers).fill(widths) };
}

/** The settings alone, as run.toml has them under [model]. */
export function settingsOf({ layer_sizes: _, head_size: __, ...settings }) {
  return settings;
}

/** What config.json holds. */
export function toConfigJson(config) {
  const { family, ...settings } = settingsOf(config);
  if (family !== "gpt") return { architectures: ["Recurrent"], model_type: `textwright_${family}`, ...settings };
  const named = Object.fromEntries(Object.entries(NAMES).map(([name, theirs]) => [theirs, settings[name]]));
  return {
    architectures: ["Qwen3ForCausalLM"], model_type: "qwen3", ...named, num_key_value_heads: config.num_heads, head_dim: config.head_size, ...FIXED,
  };
}

/** The page's config of a parsed config.json. Throws an Error for a family that a tab can't train. */
export function fromConfigJson(json) {
  const family = json.model_type === "qwen3" ? "gpt" : /^textwright_(lstm)$/.exec(json.model_type ?? "")?.[1];
  if (!family) throw new Error(t("a tab trains lstm and gpt, and this model is {type}", { type: String(json.model_type).replace("textwright_", "") }));
  if (family === "lstm") {
    const names = ["vocab_size", "block_size", "num_layers", "dropout", "hidden_size", "embedding_size", "tie_embeddings"];
    return completed({ family, ...Object.fromEntries(names.map((name) => [name, json[name]])), dropout: json.dropout ?? 0, tie_embeddings: json.tie_embeddings ?? false });
  }
  const settings = Object.fromEntries(Object.entries(NAMES).map(([name, theirs]) => [name, json[theirs]]));
  const { rope_parameters: rope } = json;
  const usual = { rms_norm_eps: 1e-6, rope_theta: rope?.rope_theta ?? 10000, tie_embeddings: false, dropout: 0 };
  for (const [name, value] of Object.entries(usual)) settings[name] ??= value;
  const heads = json.num_key_value_heads ?? settings.num_heads;
  if (heads !== settings.num_heads || json.head_dim !== settings.hidden_size / settings.num_heads) {
    throw new Error(t("a tab trains the gpt of textwright, and this Qwen3 has other heads"));
  }
  return completed({ family, ...settings });
}

/** Trainable parameters, shared ones counted once. */
export function parameterCount(config) {
  const { vocab_size: types, hidden_size: width, tie_embeddings: tied } = config;
  if (config.family === "gpt") {
    const block = 4 * width * width + 3 * width * config.intermediate_size + 2 * width + 2 * config.head_size;
    return types * width * (tied ? 1 : 2) + config.num_layers * block + width;
  }
  const inputs = [config.embedding_size, ...config.layer_sizes];
  const layers = config.layer_sizes.map((size, number) => 4 * (size * (inputs[number] + size) + 2 * size));
  return types * (config.embedding_size + (tied ? 1 : config.layer_sizes.at(-1) + 1)) + layers.reduce((sum, one) => sum + one, 0);
}

/** Whether it reads text in contiguous streams, whose state it carries; else in shuffled windows. */
export const streams = (config) => config.family !== "gpt";
