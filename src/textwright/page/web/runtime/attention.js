// `gpt` and `transformer`: one token at a time, with a KV cache.
// As `runtimes/gpt.py` and `runtimes/transformer.py`.

import { product, sigmoid } from "./tensors.js";

/** What both families share; a subclass has `embed`, `layer` and `logits`. */
class Attention {
  constructor(config, tensors) {
    this.config = config;
    this.vocabSize = config.vocab_size;
    this.blockSize = config.block_size;
    this.tensors = tensors;
    const width = config.hidden_size;
    this.normed = new Float32Array(width);
    this.mixed = new Float32Array(width);
    this.added = new Float32Array(width);
    this.inner = new Float32Array(config.intermediate_size);
    this.gate = new Float32Array(config.intermediate_size);
    this.query = new Float32Array(width);
    this.scores = new Float64Array(config.block_size);
  }

  initialState() {
    const size = this.config.block_size * this.config.hidden_size;
    const layers = Array.from({ length: this.config.num_layers }, () => ({
      keys: new Float32Array(size), // (B, C): for each position, one head after another
      values: new Float32Array(size),
    }));
    return { held: 0, layers };
  }

  /**
   * Reads a token; returns the logits of the next one, (V,). `weights` receives the attention weights, `stream` the
   * residual stream behind each block.
   */
  step(token, state, weights = null, stream = null) {
    const x = this.embed(token, state.held);
    for (let number = 0; number < this.config.num_layers; number++) {
      this.layer(number, x, state, weights);
      for (const { unit, value } of this.holds?.[number] ?? []) x[unit] = value;
      if (stream) stream[number] = x.slice();
    }
    state.held += 1;
    return this.logits(x);
  }

  /** Attention of the latest position over all (Vaswani et al., 2017), into `this.mixed`. */
  attend(number, { held, layers }, weights) {
    const { num_heads: heads, head_size: size, hidden_size: width } = this.config;
    const { keys, values } = layers[number];
    const { query, mixed, scores } = this;
    mixed.fill(0);
    for (let head = 0; head < heads; head++) {
      const from = head * size;
      let most = -Infinity;
      for (let time = 0, at = from; time <= held; time++, at += width) {
        let sum = 0;
        for (let i = 0; i < size; i++) sum += query[from + i] * keys[at + i];
        scores[time] = sum / Math.sqrt(size);
        if (scores[time] > most) most = scores[time];
      }
      let total = 0;
      for (let time = 0; time <= held; time++) {
        total += scores[time] = Math.exp(scores[time] - most);
      }
      for (let time = 0, at = from; time <= held; time++, at += width) {
        const share = scores[time] / total;
        for (let i = 0; i < size; i++) mixed[from + i] += share * values[at + i];
      }
      if (weights) {
        weights[number][head] = Float32Array.from({ length: held + 1 }, (_, i) => scores[i] / total);
      }
    }
  }
}

export class GPT extends Attention {
  constructor(config, tensors) {
    super(config, tensors);
    const half = config.head_size / 2;
    // RoPE (Su et al., 2021): angle per position, for each pair from a head's two halves
    this.speeds = Float64Array.from({ length: half }, (_, i) => config.rope_theta ** -(i / half));
    const table = tensors["model.embed_tokens.weight"];
    this.head = config.tie_embeddings ? table : tensors["lm_head.weight"];
  }

  part(number, name) {
    return this.tensors[`model.layers.${number}.${name}.weight`];
  }

  embed(token) {
    const width = this.config.hidden_size;
    return this.tensors["model.embed_tokens.weight"].slice(token * width, (token + 1) * width);
  }

  layer(number, x, state, weights) {
    const { hidden_size: width } = this.config;
    const part = (name) => this.part(number, name);
    const { keys, values } = state.layers[number];
    const at = state.held * width;
    const key = keys.subarray(at, at + width);
    this.norm(x, part("input_layernorm"), this.normed);
    product(part("self_attn.q_proj"), this.normed, this.query);
    product(part("self_attn.k_proj"), this.normed, key);
    product(part("self_attn.v_proj"), this.normed, values.subarray(at, at + width));
    this.turn(this.query, part("self_attn.q_norm"), state.held);
    this.turn(key, part("self_attn.k_norm"), state.held);
    this.attend(number, state, weights);
    add(x, product(part("self_attn.o_proj"), this.mixed, this.added));
    this.norm(x, part("post_attention_layernorm"), this.normed);
    product(part("mlp.gate_proj"), this.normed, this.gate);
    product(part("mlp.up_proj"), this.normed, this.inner);
    for (let i = 0; i < this.inner.length; i++) {
      this.inner[i] *= this.gate[i] * sigmoid(this.gate[i]);
    }
    add(x, product(part("mlp.down_proj"), this.inner, this.added));
  }

  logits(x) {
    this.norm(x, this.tensors["model.norm.weight"], this.normed);
    return product(this.head, this.normed, new Float32Array(this.vocabSize));
  }

  /** RMSNorm (Zhang and Sennrich, 2019). */
  norm(x, weight, y) {
    let sum = 0;
    for (const value of x) sum += value * value;
    const scale = 1 / Math.sqrt(sum / x.length + this.config.rms_norm_eps);
    for (let i = 0; i < x.length; i++) y[i] = x[i] * scale * weight[i];
  }

  /** Normalizes and rotates each head of `vector` in place. */
  turn(vector, weight, position) {
    const size = this.config.head_size;
    const half = size / 2;
    for (let from = 0; from < vector.length; from += size) {
      const head = vector.subarray(from, from + size);
      this.norm(head, weight, head);
      for (let i = 0; i < half; i++) {
        const cos = Math.cos(position * this.speeds[i]);
        const sin = Math.sin(position * this.speeds[i]);
        const [left, right] = [head[i], head[i + half]];
        head[i] = left * cos - right * sin;
        head[i + half] = right * cos + left * sin;
      }
    }
  }
}

export class Transformer extends Attention {
  constructor(config, tensors) {
    super(config, tensors);
    const width = config.hidden_size;
    // GPT-2 stores these matrices as (in, out)
    const turned = (name) => {
      const weight = tensors[`${name}.weight`];
      const bias = tensors[`${name}.bias`];
      return { weight: transposed(weight, bias.length), bias };
    };
    this.layers = Array.from({ length: config.num_layers }, (_, number) => ({
      qkv: turned(`transformer.h.${number}.attn.c_attn`),
      out: turned(`transformer.h.${number}.attn.c_proj`),
      inner: turned(`transformer.h.${number}.mlp.c_fc`),
      outer: turned(`transformer.h.${number}.mlp.c_proj`),
    }));
    const table = tensors["transformer.wte.weight"];
    this.head = config.tie_embeddings ? table : tensors["lm_head.weight"];
    this.joint = new Float32Array(3 * width);
  }

  embed(token, position) {
    const width = this.config.hidden_size;
    const x = this.tensors["transformer.wte.weight"].slice(token * width, (token + 1) * width);
    const at = position * width;
    add(x, this.tensors["transformer.wpe.weight"].subarray(at, at + width));
    return x;
  }

  layer(number, x, state, weights) {
    const width = this.config.hidden_size;
    const { qkv, out, inner, outer } = this.layers[number];
    const { keys, values } = state.layers[number];
    this.norm(x, `transformer.h.${number}.ln_1`);
    product(qkv.weight, this.normed, this.joint, qkv.bias);
    this.query.set(this.joint.subarray(0, width));
    keys.set(this.joint.subarray(width, 2 * width), state.held * width);
    values.set(this.joint.subarray(2 * width), state.held * width);
    this.attend(number, state, weights);
    add(x, product(out.weight, this.mixed, this.added, out.bias));
    this.norm(x, `transformer.h.${number}.ln_2`);
    product(inner.weight, this.normed, this.inner, inner.bias);
    const activate = ACTIVATIONS[this.config.activation];
    for (let i = 0; i < this.inner.length; i++) this.inner[i] = activate(this.inner[i]);
    add(x, product(outer.weight, this.inner, this.added, outer.bias));
  }

  logits(x) {
    this.norm(x, "transformer.ln_f");
    return product(this.head, this.normed, new Float32Array(this.vocabSize));
  }

  /** LayerNorm (Ba et al., 2016) into `this.normed`. */
  norm(x, name) {
    const weight = this.tensors[`${name}.weight`];
    const bias = this.tensors[`${name}.bias`];
    let mean = 0;
    for (const value of x) mean += value / x.length;
    let variance = 0;
    for (const value of x) variance += (value - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + this.config.layer_norm_eps);
    for (let i = 0; i < x.length; i++) {
      this.normed[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    }
  }
}

const relu = (x) => Math.max(x, 0);

/** GPT-2's tanh form (Hendrycks and Gimpel, 2016). */
const gelu = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** The exact form, x · Φ(x), with erf as in `runtimes/transformer.py`: its error is below 1.5e-7. */
function geluErf(x) {
  const z = Math.abs(x) * Math.SQRT1_2;
  const t = 1 / (1 + 0.3275911 * z);
  const series = ERF.reduce((sum, coefficient) => (sum + coefficient) * t, 0);
  const tail = 0.5 * series * Math.exp(-z * z); // 1 − Φ(|x|)
  return x * (x < 0 ? tail : 1 - tail);
}

/** Abramowitz and Stegun (1964), formula 7.1.26: its coefficients, the highest power first. */
const ERF = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];

/** By the setting `model.activation`. */
const ACTIVATIONS = { relu, gelu, gelu_erf: geluErf };

function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

function transposed(weight, columns) {
  const rows = weight.length / columns;
  const turned = new Float32Array(weight.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = weight[row * columns + column];
    }
  }
  return turned;
}
