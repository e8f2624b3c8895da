// `lstm`, `gru` and `rnn`: the equations and the order of gates of torch.nn.LSTM, GRU and RNN.
// As `runtimes/recurrent.py`.

import { product, sigmoid } from "./tensors.js";

const NEARLY = 0.9999; // of a unit at most: the cell behind a tanh of 1 would be infinite
const GATES = { lstm: 4, gru: 3, rnn: 1 };

export class Recurrent {
  constructor(config, tensors) {
    this.config = config;
    this.vocabSize = config.vocab_size;
    this.blockSize = null;
    this.embedding = tensors["embedding.weight"];
    this.output = config.tie_embeddings ? this.embedding : tensors["output.weight"];
    this.outputBias = tensors["output.bias"];
    this.layers = config.layer_sizes.map((width, number) => {
      const part = (name) => tensors[`layers.${number}.${name}`];
      const rows = GATES[config.family] * width;
      return {
        width,
        fromInput: part("weight_ih"),
        fromState: part("weight_hh"),
        inputBias: part("bias_ih"),
        stateBias: part("bias_hh"),
        x: new Float32Array(rows),
        u: new Float32Array(rows),
      };
    });
    this.walk = { lstm, gru, rnn }[config.family];
  }

  initialState() {
    return this.layers.map(({ width }) => ({
      h: new Float32Array(width),
      c: new Float32Array(width),
    }));
  }

  /** Reads a token; returns the logits of the next one, (V,). */
  step(token, state) {
    const width = this.config.embedding_size;
    let x = this.embedding.subarray(token * width, (token + 1) * width);
    this.layers.forEach((layer, number) => {
      product(layer.fromInput, x, layer.x, layer.inputBias);
      product(layer.fromState, state[number].h, layer.u, layer.stateBias);
      this.walk(layer, state[number]);
      for (const one of this.holds?.[number] ?? []) this.hold(layer, state[number], one);
      x = state[number].h;
    });
    return product(this.output, x, new Float32Array(this.vocabSize), this.outputBias);
  }

  /** Holds a unit at a value: of an `lstm` the tanh of its cell. */
  hold({ width, x, u }, { h, c }, { unit, value }) {
    h[unit] = value;
    if (this.config.family !== "lstm") return;
    c[unit] = Math.atanh(Math.max(-NEARLY, Math.min(NEARLY, value)));
    h[unit] = sigmoid(x[3 * width + unit] + u[3 * width + unit]) * Math.tanh(c[unit]);
  }

  /** Each layer's hidden units after a step, between −1 and 1. */
  units(state) {
    return state.map(({ h, c }) => (this.config.family === "lstm" ? c.map(Math.tanh) : h.slice()));
  }
}

function rnn({ width, x, u }, { h }) {
  for (let i = 0; i < width; i++) h[i] = Math.tanh(x[i] + u[i]);
}

function lstm({ width, x, u }, { h, c }) {
  for (let i = 0; i < width; i++) {
    const input = sigmoid(x[i] + u[i]);
    const forget = sigmoid(x[width + i] + u[width + i]);
    const candidate = Math.tanh(x[2 * width + i] + u[2 * width + i]);
    const output = sigmoid(x[3 * width + i] + u[3 * width + i]);
    c[i] = forget * c[i] + input * candidate;
    h[i] = output * Math.tanh(c[i]);
  }
}

function gru({ width, x, u }, { h }) {
  for (let i = 0; i < width; i++) {
    const reset = sigmoid(x[i] + u[i]);
    const keep = sigmoid(x[width + i] + u[width + i]);
    const fresh = Math.tanh(x[2 * width + i] + reset * u[2 * width + i]);
    h[i] = fresh + keep * (h[i] - fresh);
  }
}
