// `lstm`, forwards and backwards: read it beside textwright/models/recurrent.py.
//
// Rows of matrices are time step after time step, in each all samples.

import { Dropout } from "./dropout.js";

const GATES = 4;

export class LSTM {
  /** Reads `samples` texts side by side, `time` tokens at once at most; `place(name)`: a parameter's address. */
  constructor(engine, config, place, samples, time) {
    Object.assign(this, { engine, config, place, samples });
    const { layer_sizes: widths, embedding_size: inputs, vocab_size: types } = config;
    const rows = samples * time;
    const room = (count) => engine.room(count);
    this.tokens = room(rows);
    this.targets = room(rows);
    this.width = Math.ceil(types / 16) * 16;
    this.logits = room(rows * this.width);
    this.embedded = room(rows * inputs);
    this.dropout = new Dropout(engine, config.dropout, samples);
    const widest = Math.max(inputs, ...widths);
    this.ones = room(samples * widest);
    engine.floats(this.ones, samples * widest).fill(1);
    this.masks = [inputs, ...widths].map((width) => room(samples * width));
    this.layers = widths.map((width, number) => ({
      width,
      inputs: number ? widths[number - 1] : inputs,
      gates: room(rows * GATES * width),
      h: room((time + 1) * samples * width),
      c: room((time + 1) * samples * width),
      dropped: config.dropout ? room(rows * width) : 0,
      packed: room(engine.call.lstm_room(width)),
      shape: room(8),
    }));
    this.gradient = room(rows * widest);
    this.spare = room(rows * widest);
    this.back = room(samples * widest);
    this.backCell = room(samples * widest);
    this.output = config.tie_embeddings ? "embedding.weight" : "output.weight";
  }

  /** The state before any token: Float32Arrays (samples × width) by name. */
  initialState() {
    const state = {};
    this.layers.forEach(({ width }, number) => {
      for (const part of ["h", "c"]) state[`${part}.${number}`] = new Float32Array(this.samples * width);
    });
    return state;
  }

  /**
   * The sum of the losses of the tokens that count.
   *
   * rows: of each sample, the tokens that are read and one more; one that doesn't count is its
   * complement. state: before them, and then after them. share: of a token in the loss whose gradient
   * `backward` takes; 0 for none. keys: of the samples' dropout, or null.
   */
  forward(rows, state, share = 0, keys = null) {
    const { call } = this.engine;
    const { embedding_size: inputs, vocab_size: types } = this.config;
    const time = rows[0].length - 1;
    this.time = time;
    this.count = time * this.samples;
    this.read(rows);
    this.draw(keys);
    call.embed(this.count, inputs, this.tokens, this.place("embedding.weight"), this.embedded);
    if (keys) call.drop(time, this.samples * inputs, this.masks[0], this.embedded, this.embedded);
    let x = this.embedded;
    this.layers.forEach((layer, number) => {
      layer.from = x;
      x = this.walk(layer, number, state);
    });
    const top = this.layers.at(-1).width;
    this.features = x;
    call.fill_rows(this.count, types, this.width, this.place("output.bias"), 0, this.logits);
    call.product(this.count, types, top, x, top, 1, this.place(this.output), 1, top, this.logits, this.width, 1);
    return call.cross_entropy(this.count, types, this.width, this.logits, this.targets, share);
  }

  read(rows) {
    const tokens = this.engine.integers(this.tokens, this.count);
    const targets = this.engine.integers(this.targets, this.count);
    rows.forEach((row, sample) => {
      for (let t = 0, at = sample; t < this.time; t++, at += this.samples) {
        tokens[at] = row[t] < 0 ? ~row[t] : row[t];
        targets[at] = row[t + 1];
      }
    });
  }

  /** The masks of the samples, the same at each time step. */
  draw(keys) {
    this.dropout.keys = keys;
    if (!keys) return;
    [this.config.embedding_size, ...this.config.layer_sizes].forEach((width, place) => {
      this.engine.call.add_dropped(this.samples, width, 0, this.ones, ...this.dropout.at(place), this.masks[place], 0);
    });
  }

  /** Takes a layer through the time steps; where its outputs are. */
  walk(layer, number, state) {
    const { call } = this.engine;
    const { width, inputs } = layer;
    const size = this.samples * width;
    const of = (name) => this.place(`layers.${number}.${name}_l0`);
    const values = [this.time, this.samples, width, layer.gates, layer.h, layer.c, of("weight_hh"), layer.packed];
    this.engine.integers(layer.shape, 8).set(values);
    this.engine.floats(layer.h, size).set(state[`h.${number}`]);
    this.engine.floats(layer.c, size).set(state[`c.${number}`]);
    call.fill_rows(this.count, GATES * width, GATES * width, of("bias_ih"), of("bias_hh"), layer.gates);
    call.product(this.count, GATES * width, inputs, layer.from, inputs, 1, of("weight_ih"), 1, inputs, layer.gates, GATES * width, 1);
    call.lstm_forward(layer.shape);
    const last = 4 * this.time * size;
    state[`h.${number}`].set(this.engine.floats(layer.h + last, size));
    state[`c.${number}`].set(this.engine.floats(layer.c + last, size));
    const out = layer.h + 4 * size;
    if (!this.dropout.keys) return out;
    call.drop(this.time, size, this.masks[number + 1], out, layer.dropped);
    return layer.dropped;
  }

  /** Adds the gradients of the last `forward` to those at `gradient(name)`. */
  backward(gradient) {
    const { call } = this.engine;
    const { vocab_size: types, embedding_size: inputs } = this.config;
    const { count, width, logits } = this;
    const top = this.layers.at(-1).width;
    call.product(types, top, count, logits, 1, width, this.features, top, 1, gradient(this.output), top, 1);
    call.add_rows_up(count, types, width, logits, gradient("output.bias"));
    call.product(count, top, types, logits, width, 1, this.place(this.output), top, 1, this.gradient, top, 0);
    for (let number = this.layers.length - 1; number >= 0; number--) this.walkBack(this.layers[number], number, gradient);
    this.undrop(0, inputs);
    call.embed_backward(count, inputs, this.tokens, this.gradient, gradient("embedding.weight"));
  }

  /** `gradient` of what came out of a layer becomes that of what went in. */
  walkBack(layer, number, gradient) {
    const { call } = this.engine;
    const { width, inputs, gates } = layer;
    const size = this.samples * width;
    const outputs = GATES * width;
    const of = (name) => `layers.${number}.${name}_l0`;
    this.undrop(number + 1, width);
    for (const at of [this.back, this.backCell]) this.engine.floats(at, size).fill(0);
    call.lstm_backward(layer.shape, this.gradient, this.back, this.backCell);
    call.product(outputs, width, this.count, gates, 1, outputs, layer.h, width, 1, gradient(of("weight_hh")), width, 1);
    call.product(outputs, inputs, this.count, gates, 1, outputs, layer.from, inputs, 1, gradient(of("weight_ih")), inputs, 1);
    for (const bias of ["bias_ih", "bias_hh"]) call.add_rows_up(this.count, outputs, outputs, gates, gradient(of(bias)));
    call.product(this.count, inputs, outputs, gates, outputs, 1, this.place(of("weight_ih")), inputs, 1, this.spare, inputs, 0);
    [this.gradient, this.spare] = [this.spare, this.gradient];
  }

  undrop(place, width) {
    if (this.dropout.keys) this.engine.call.drop(this.time, this.samples * width, this.masks[place], this.gradient, this.gradient);
  }
}
