// The weights that a training begins with: those of torch's `build(config, seed)`, drawn in the same
// order, those too that a layer draws when it is made and that are drawn anew afterwards.

import { Twister } from "./twister.js";

/** Float32Arrays by the names of parameters (see `parametersOf`). */
export function initialWeights(config, seed) {
  const random = new Twister(seed);
  return config.family === "gpt" ? gpt(config, random) : lstm(config, random);
}

function normalCount(count) {
  return count + (count % 16 ? 16 : 0);
}

function lstm(config, random) {
  const { vocab_size: types, embedding_size: inputs, layer_sizes: widths } = config;
  const weights = {};
  random.skip(normalCount(types * inputs));
  widths.forEach((width, number) => random.skip(4 * width * ((number ? widths[number - 1] : inputs) + width + 2)));
  random.skip(types * (widths.at(-1) + 1));
  weights["embedding.weight"] = random.normal(new Float32Array(types * inputs), config.tie_embeddings ? 0.1 : 1);
  widths.forEach((width, number) => {
    const layer = `layers.${number}`;
    const below = number ? widths[number - 1] : inputs;
    const bound = Math.sqrt(6 / (below + 4 * width));
    weights[`${layer}.weight_ih_l0`] = random.uniform(new Float32Array(4 * width * below), -bound, bound);
    weights[`${layer}.weight_hh_l0`] = orthogonal(random.normal(new Float32Array(4 * width * width)), width);
    // A forget gate that is open at first
    weights[`${layer}.bias_ih_l0`] = new Float32Array(4 * width).fill(1, width, 2 * width);
    weights[`${layer}.bias_hh_l0`] = new Float32Array(4 * width);
  });
  if (!config.tie_embeddings) weights["output.weight"] = new Float32Array(types * widths.at(-1));
  weights["output.bias"] = new Float32Array(types);
  return weights;
}

/**
 * The orthogonal columns of a matrix of rows of `width`, each pointing where the matrix's does: the Q
 * of a QR with a positive diagonal, by Gram and Schmidt's way in float64.
 */
function orthogonal(matrix, width) {
  const rows = matrix.length / width;
  const columns = Array.from({ length: width }, (_, j) => Float64Array.from({ length: rows }, (_, i) => matrix[i * width + j]));
  columns.forEach((column, j) => {
    for (let before = 0; before < j; before++) {
      const other = columns[before];
      let along = 0;
      for (let i = 0; i < rows; i++) along += column[i] * other[i];
      for (let i = 0; i < rows; i++) column[i] -= along * other[i];
    }
    let square = 0;
    for (let i = 0; i < rows; i++) square += column[i] * column[i];
    const inverse = 1 / Math.sqrt(square);
    for (let i = 0; i < rows; i++) matrix[i * width + j] = column[i] *= inverse;
  });
  return matrix;
}

function gpt(config, random) {
  const { vocab_size: types, hidden_size: width, intermediate_size: inner, head_size: head } = config;
  const weights = {};
  const drawn = (name, count) => {
    weights[name] = random.normal(new Float32Array(count), width ** -0.5);
  };
  random.skip(normalCount(types * width));
  weights["model.embed_tokens.weight"] = random.normal(new Float32Array(types * width), config.tie_embeddings ? 0.02 : 1);
  for (let number = 0; number < config.num_layers; number++) {
    const layer = `model.layers.${number}`;
    weights[`${layer}.input_layernorm.weight`] = new Float32Array(width).fill(1);
    random.skip(4 * width * width);
    for (const name of ["q_proj", "k_proj", "v_proj"]) drawn(`${layer}.self_attn.${name}.weight`, width * width);
    weights[`${layer}.self_attn.o_proj.weight`] = new Float32Array(width * width);
    weights[`${layer}.self_attn.q_norm.weight`] = new Float32Array(head).fill(1);
    weights[`${layer}.self_attn.k_norm.weight`] = new Float32Array(head).fill(1);
    weights[`${layer}.post_attention_layernorm.weight`] = new Float32Array(width).fill(1);
    random.skip(3 * width * inner);
    drawn(`${layer}.mlp.gate_proj.weight`, inner * width);
    drawn(`${layer}.mlp.up_proj.weight`, inner * width);
    weights[`${layer}.mlp.down_proj.weight`] = new Float32Array(width * inner);
  }
  weights["model.norm.weight"] = new Float32Array(width).fill(1);
  if (!config.tie_embeddings) weights["lm_head.weight"] = new Float32Array(types * width);
  return weights;
}
