// The parameters of a model, in torch's order: their names, shapes, and where they lie in memory.
//
// All lie in one array, one after the other, so that matrices that torch has side by side (queries,
// keys and values; gates and what they let through) can be multiplied as one.

import { t } from "../words.js";

const BLOCK = 64; // rows of a matrix that Muon orthogonalises by themselves, as in training/optim/muon.py

/** Why the engine can't learn a model of this config; null where it can. */
export function refusal(config) {
  const { family } = config;
  if (family !== "lstm" && family !== "gpt") return t("a tab trains lstm and gpt, and this model is {type}", { type: family });
  const widths = family === "lstm" ? [config.embedding_size, ...config.layer_sizes] : [config.hidden_size, config.intermediate_size];
  const odd = widths.find((width) => width % 16 || width < 16 || width > 2048);
  if (odd !== undefined) return t("a tab trains widths that are multiples of 16, to 2048; one here is {count}", { count: odd });
  if (config.vocab_size > 8192) return t("a tab trains vocabularies to 8192, and this one has {count}", { count: config.vocab_size });
  if (config.block_size > 1024) return t("a tab trains blocks to 1024 tokens, and these have {count}", { count: config.block_size });
  if (family === "gpt" && config.block_size % 16) return t("a tab trains blocks of a multiple of 16 tokens; these have {count}", { count: config.block_size });
  return null;
}

/**
 * The parameters of a config: {list, names, size}. Each of the list is {name, stored, shape, count,
 * at, parts}: `stored` its name in model.safetensors, `at` where it begins, of `size` numbers in all;
 * `parts` how many matrices that Muon updates are stacked in it, 0 where AdamW updates it.
 */
export function parametersOf(config) {
  const list = config.family === "gpt" ? gpt(config) : lstm(config);
  let size = 0;
  for (const one of list) {
    one.stored = one.name.replace(/_l0$/, "");
    one.count = one.shape.reduce((product, length) => product * length, 1);
    one.at = size;
    size += Math.ceil(one.count / 16) * 16;
  }
  return { list, size, names: Object.fromEntries(list.map((one) => [one.name, one])) };
}

function lstm(config) {
  const { vocab_size: types, embedding_size: inputs, layer_sizes: widths } = config;
  const list = [{ name: "embedding.weight", shape: [types, inputs], parts: 0 }];
  widths.forEach((width, number) => {
    const below = number ? widths[number - 1] : inputs;
    list.push({ name: `layers.${number}.weight_ih_l0`, shape: [4 * width, below], parts: 4 });
    list.push({ name: `layers.${number}.weight_hh_l0`, shape: [4 * width, width], parts: 4 });
    list.push({ name: `layers.${number}.bias_ih_l0`, shape: [4 * width], parts: 0 });
    list.push({ name: `layers.${number}.bias_hh_l0`, shape: [4 * width], parts: 0 });
  });
  if (!config.tie_embeddings) list.push({ name: "output.weight", shape: [types, widths.at(-1)], parts: 0 });
  list.push({ name: "output.bias", shape: [types], parts: 0 });
  return list;
}

function gpt(config) {
  const { vocab_size: types, hidden_size: width, intermediate_size: inner, head_size: head } = config;
  const list = [{ name: "model.embed_tokens.weight", shape: [types, width], parts: 0 }];
  for (let number = 0; number < config.num_layers; number++) {
    const add = (name, ...shape) => list.push({ name: `model.layers.${number}.${name}.weight`, shape, parts: shape.length - 1 });
    add("input_layernorm", width);
    for (const name of ["q_proj", "k_proj", "v_proj", "o_proj"]) add(`self_attn.${name}`, width, width);
    add("self_attn.q_norm", head);
    add("self_attn.k_norm", head);
    add("post_attention_layernorm", width);
    add("mlp.gate_proj", inner, width);
    add("mlp.up_proj", inner, width);
    add("mlp.down_proj", width, inner);
  }
  list.push({ name: "model.norm.weight", shape: [width], parts: 0 });
  if (!config.tie_embeddings) list.push({ name: "lm_head.weight", shape: [types, width], parts: 0 });
  return list;
}

/**
 * What the optimisers update by itself: {at, count, rows, columns, block, muon, decay, state}, in the order
 * of the parameters. `state` is what its numbers are called in a checkpoint, as
 * textwright/training/optim/optimizer.py names them: `0.place` of AdamW, `1.place` of Muon.
 */
export function unitsOf(parameters, settings) {
  const withMuon = settings.optimizer === "muon";
  const units = [];
  const most = settings.parent ? Infinity : BLOCK;
  let matrices = 0;
  for (const { at, count, shape, parts } of parameters.list) {
    const muon = withMuon && parts > 0;
    const cut = muon ? parts : 1;
    for (let part = 0; part < cut; part++) {
      const rows = shape[0] / cut;
      const decay = muon || (!withMuon && shape.length > 1) ? settings.weight_decay : 0;
      units.push({ at: at + (part * count) / cut, count: count / cut, shape: muon ? [rows, shape[1]] : shape,
        rows, columns: shape[1] ?? 1, block: Math.min(rows, shape[1] ?? 1, most), muon, decay, state: muon ? `1.${matrices++}` : null });
    }
  }
  const adamw = units.filter((unit) => !unit.muon);
  const inOrder = [...adamw.filter((unit) => unit.shape.length > 1), ...adamw.filter((unit) => unit.shape.length < 2)];
  inOrder.forEach((unit, place) => {
    unit.state = `0.${place}`;
  });
  return units;
}

/** Which of `workers` updates each unit: the dearest first, to whoever has least to do. */
export function owners(units, workers) {
  const cost = ({ muon, count, rows, columns, block }) => (muon ? 2 * count * block + 12 * Math.min(rows, columns) * block ** 2 : 30 * count);
  const busy = new Array(workers).fill(0);
  const owner = new Array(units.length);
  const dearest = units.map((unit, place) => [cost(unit), place]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [much, place] of dearest) {
    owner[place] = busy.indexOf(Math.min(...busy));
    busy[owner[place]] += much;
  }
  return owner;
}

/** Into how many shards a batch is cut where the recipe leaves it open; as training/loop/shards.py. */
export function shardsOf(config, settings) {
  if (settings.shards) return Math.min(settings.shards, settings.batch_size);
  const [rows, least] = config.family === "gpt" ? [settings.batch_size * config.block_size, 512] : [settings.batch_size, 16];
  let shards = 1;
  while (2 * shards <= Math.min(8, settings.batch_size, Math.floor(rows / least))) shards *= 2;
  return shards;
}
