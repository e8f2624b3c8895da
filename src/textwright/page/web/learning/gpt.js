// `gpt`, forwards and backwards: read it beside textwright/models/gpt.py.
//
// Rows of matrices are sample after sample, in each all positions.

import { Dropout } from "./dropout.js";

export class GPT {
  /** Reads `samples` windows of `time` tokens at most; `place(name)`: a parameter's address. */
  constructor(engine, config, place, samples, time) {
    Object.assign(this, { engine, config, place, samples });
    const { hidden_size: width, intermediate_size: inner, num_heads: heads, head_size: size, vocab_size: types } = config;
    const rows = samples * time;
    const room = (count) => engine.room(count);
    this.scores = heads * samples * time * time;
    this.tokens = room(rows);
    this.targets = room(rows);
    this.padded = Math.ceil(types / 16) * 16;
    this.logits = room(rows * this.padded);
    this.dropout = new Dropout(engine, config.dropout, samples);
    this.cos = room(time * size);
    this.sin = room(time * size);
    this.turn(time);
    this.layers = Array.from({ length: config.num_layers }, () => ({
      x: room(rows * width),
      normal: room(rows * width),
      qkv: room(3 * rows * width),
      q: room(rows * width),
      k: room(rows * width),
      v: room(rows * width),
      weights: room(this.scores),
      mixed: room(rows * width),
      between: room(rows * width),
      innerNormal: room(rows * width),
      both: room(2 * rows * inner),
      gated: room(rows * inner),
      heads: room(9),
    }));
    this.x = room(rows * width);
    this.features = room(rows * width);
    this.gradient = room(rows * width);
    this.rooms = [1, 2, 3].map(() => room(rows * Math.max(3 * width, 2 * inner)));
    this.ofScores = room(this.scores);
    this.output = config.tie_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  }

  /** The rotations of the positions. */
  turn(time) {
    const { head_size: size, rope_theta: theta } = this.config;
    const cos = this.engine.floats(this.cos, time * size);
    const sin = this.engine.floats(this.sin, time * size);
    for (let t = 0; t < time; t++) {
      for (let i = 0; i < size; i++) {
        const angle = Math.fround(t * Math.fround(theta ** -Math.fround((2 * (i % (size / 2))) / size)));
        cos[t * size + i] = Math.cos(angle);
        sin[t * size + i] = Math.sin(angle);
      }
    }
  }

  /** Nothing is carried. */
  initialState() {
    return {};
  }

  /** See `LSTM.forward`. */
  forward(rows, state, share = 0, keys = null) {
    const { call } = this.engine;
    const { hidden_size: width, vocab_size: types, num_layers: depth, rms_norm_eps: epsilon } = this.config;
    this.time = Math.ceil((rows[0].length - 1) / 16) * 16;
    this.count = this.samples * this.time;
    this.dropout.keys = keys;
    this.read(rows);
    const { count } = this;
    call.embed(count, width, this.tokens, this.place("model.embed_tokens.weight"), this.rooms[0]);
    call.add_dropped(this.samples, this.time * width, 0, this.rooms[0], ...this.dropout.at(0), this.layers[0].x, 0);
    this.layers.forEach((layer, number) => {
      this.attention(layer, number);
      this.feedForward(layer, number, number + 1 < depth ? this.layers[number + 1].x : this.x);
    });
    call.norm(count, width, this.x, this.place("model.norm.weight"), epsilon, this.features, 0);
    this.times(count, types, width, this.features, this.place(this.output), this.logits, this.padded);
    return call.cross_entropy(count, types, this.padded, this.logits, this.targets, share);
  }

  /** Tokens and targets; what isn't there at the end of a window doesn't count, and nothing before it sees it. */
  read(rows) {
    const tokens = this.engine.integers(this.tokens, this.count);
    const targets = this.engine.integers(this.targets, this.count);
    rows.forEach((row, sample) => {
      for (let t = 0, at = sample * this.time; t < this.time; t++, at++) {
        const there = t + 1 < row.length;
        tokens[at] = there ? Math.max(row[t], ~row[t]) : 0;
        targets[at] = there ? row[t + 1] : -1;
      }
    });
  }

  /** y = x · Wᵀ, W (outputs, inputs). */
  times(rows, outputs, inputs, x, weight, y, stride = outputs) {
    this.engine.call.product(rows, outputs, inputs, x, inputs, 1, weight, 1, inputs, y, stride, 0);
  }

  /** Gradients of such a product: the weight's is added, that of x goes to `dx`. */
  timesBack(rows, outputs, inputs, x, weight, dy, dWeight, dx, stride = outputs) {
    const { call } = this.engine;
    call.product(outputs, inputs, rows, dy, 1, stride, x, inputs, 1, dWeight, inputs, 1);
    call.product(rows, inputs, outputs, dy, stride, 1, weight, inputs, 1, dx, inputs, 0);
  }

  attention(layer, number) {
    const { call } = this.engine;
    const { hidden_size: width, num_heads: heads, head_size: size, rms_norm_eps: epsilon } = this.config;
    const { count, time } = this;
    const of = (name) => this.place(`model.layers.${number}.${name}.weight`);
    call.norm(count, width, layer.x, of("input_layernorm"), epsilon, layer.normal, 0);
    this.times(count, 3 * width, width, layer.normal, of("self_attn.q_proj"), layer.qkv);
    this.engine.integers(layer.heads, 9).set([this.samples, time, heads, size, 0, of("self_attn.q_norm"), of("self_attn.k_norm"), this.cos, this.sin]);
    this.engine.floats(layer.heads, 9)[4] = epsilon;
    call.split_heads(layer.heads, layer.qkv, layer.q, layer.k, layer.v, 0);
    this.eachHead((at, mixed, scores) => {
      call.product(time, time, size, layer.q + at, size, 1, layer.k + at, 1, size, layer.weights + scores, time, 0);
    });
    call.attention_weights(this.samples * heads, time, size ** -0.5, layer.weights, 0);
    this.eachHead((at, mixed, scores) => {
      call.product(time, size, time, layer.weights + scores, time, 1, layer.v + at, size, 1, layer.mixed + mixed, width, 0);
    });
    this.times(count, width, width, layer.mixed, of("self_attn.o_proj"), this.rooms[0]);
    call.add_dropped(this.samples, time * width, layer.x, this.rooms[0], ...this.dropout.at(2 * number + 1), layer.between, 0);
  }

  /** Calls with the bytes where each head's rows begin, in [sample][head][time], [sample][time][head] and the scores. */
  eachHead(call) {
    const { num_heads: heads, head_size: size } = this.config;
    for (let sample = 0; sample < this.samples; sample++) {
      for (let head = 0; head < heads; head++) {
        const place = (sample * heads + head) * this.time;
        call(4 * place * size, 4 * size * (sample * this.time * heads + head), 4 * place * this.time);
      }
    }
  }

  feedForward(layer, number, to) {
    const { call } = this.engine;
    const { hidden_size: width, intermediate_size: inner, rms_norm_eps: epsilon } = this.config;
    const of = (name) => this.place(`model.layers.${number}.${name}.weight`);
    call.norm(this.count, width, layer.between, of("post_attention_layernorm"), epsilon, layer.innerNormal, 0);
    this.times(this.count, 2 * inner, width, layer.innerNormal, of("mlp.gate_proj"), layer.both);
    call.gated(this.count, inner, layer.both, layer.gated, 0);
    this.times(this.count, width, inner, layer.gated, of("mlp.down_proj"), this.rooms[0]);
    call.add_dropped(this.samples, this.time * width, layer.between, this.rooms[0], ...this.dropout.at(2 * number + 2), to, 0);
  }

  /** See `LSTM.backward`. */
  backward(gradient) {
    const { call } = this.engine;
    const { hidden_size: width, vocab_size: types, rms_norm_eps: epsilon } = this.config;
    const { count, samples } = this;
    const [one, two] = this.rooms;
    this.timesBack(count, types, width, this.features, this.place(this.output), this.logits, gradient(this.output), one, this.padded);
    call.norm_backward(count, width, this.x, this.place("model.norm.weight"), epsilon, one, this.gradient, gradient("model.norm.weight"), 0);
    for (let number = this.layers.length - 1; number >= 0; number--) {
      const of = (name) => gradient(`model.layers.${number}.${name}.weight`);
      this.feedForwardBack(this.layers[number], number, of);
      this.attentionBack(this.layers[number], number, of);
    }
    call.add_dropped_backward(samples, this.time * width, this.gradient, ...this.dropout.at(0), two, 0);
    call.embed_backward(count, width, this.tokens, two, gradient("model.embed_tokens.weight"));
  }

  feedForwardBack(layer, number, gradient) {
    const { call } = this.engine;
    const { hidden_size: width, intermediate_size: inner, rms_norm_eps: epsilon } = this.config;
    const of = (name) => this.place(`model.layers.${number}.${name}.weight`);
    const [one, two, three] = this.rooms;
    call.add_dropped_backward(this.samples, this.time * width, this.gradient, ...this.dropout.at(2 * number + 2), one, 0);
    this.timesBack(this.count, width, inner, layer.gated, of("mlp.down_proj"), one, gradient("mlp.down_proj"), two);
    call.gated_backward(this.count, inner, layer.both, two, three, 0);
    this.timesBack(this.count, 2 * inner, width, layer.innerNormal, of("mlp.gate_proj"), three, gradient("mlp.gate_proj"), one);
    const name = "post_attention_layernorm";
    call.norm_backward(this.count, width, layer.between, of(name), epsilon, one, two, gradient(name), 0);
    call.add(this.count * width, two, this.gradient);
  }

  attentionBack(layer, number, gradient) {
    const { call } = this.engine;
    const { hidden_size: width, num_heads: heads, head_size: size, rms_norm_eps: epsilon } = this.config;
    const { count, time, ofScores } = this;
    const of = (name) => this.place(`model.layers.${number}.${name}.weight`);
    const [one, two, three] = this.rooms;
    call.add_dropped_backward(this.samples, time * width, this.gradient, ...this.dropout.at(2 * number + 1), one, 0);
    this.timesBack(count, width, width, layer.mixed, of("self_attn.o_proj"), one, gradient("self_attn.o_proj"), two);
    this.eachHead((at, mixed, scores) => {
      call.product(time, time, size, two + mixed, width, 1, layer.v + at, 1, size, ofScores + scores, time, 0);
    });
    call.attention_weights_backward(this.samples * heads, time, size ** -0.5, layer.weights, ofScores, 0);
    const [dq, dk, dv] = [0, 1, 2].map((part) => three + 4 * part * count * width);
    this.eachHead((at, mixed, scores) => {
      call.product(time, size, time, ofScores + scores, time, 1, layer.k + at, size, 1, dq + at, size, 0);
      call.product(time, size, time, ofScores + scores, 1, time, layer.q + at, size, 1, dk + at, size, 0);
      call.product(time, size, time, layer.weights + scores, 1, time, two + mixed, width, 1, dv + at, size, 0);
    });
    call.split_heads_backward(layer.heads, layer.qkv, dq, dk, dv, one, gradient("self_attn.q_norm"), gradient("self_attn.k_norm"), 0);
    this.timesBack(count, 3 * width, width, layer.normal, of("self_attn.q_proj"), one, gradient("self_attn.q_proj"), two);
    call.norm_backward(count, width, layer.x, of("input_layernorm"), epsilon, two, three, gradient("input_layernorm"), 0);
    call.add(count * width, three, this.gradient);
  }
}
