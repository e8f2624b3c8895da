// What a run counted in its text, mixed with the network's logits. As `companion/table.py` and `companion/mixing.py`.

import { bytesOf } from "./tensors.js";

const WHOLE = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };

/** The companion in a model's data, from `page/packing.py`. */
export async function unpackCompanion(data) {
  const packed = new Blob([bytesOf(data.table)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Companion(data, await new Response(packed).arrayBuffer());
}

class Companion {
  /** A tree of n-grams, those of one token first; `table`: logarithms of all, backoffs, tokens, and how many children of each. */
  constructor(data, table) {
    Object.assign(this, { lines: data.lines, newline: data.newline, folded: data.folded, network: data.network, weight: data.weight });
    const [all, inner] = [data.sizes, data.sizes.slice(0, -1)].map((sizes) => sizes.reduce((sum, size) => sum + size, 0));
    const vocabulary = data.sizes[0];
    this.contexts = data.sizes.length - 1;
    let at = 0;
    const next = (Type, count) => new Type(table.slice(at, (at += Type.BYTES_PER_ELEMENT * count)));
    this.logs = next(Int16Array, all);
    this.backoffs = next(Int16Array, inner);
    this.tokens = new Uint32Array(all);
    for (let token = 0; token < vocabulary; token++) this.tokens[token] = token;
    this.tokens.set(next(WHOLE[data.widths[0]], all - vocabulary), vocabulary);
    const children = next(WHOLE[data.widths[1]], inner);
    this.first = new Uint32Array(all + 1).fill(all);
    this.first[0] = vocabulary;
    for (let node = 0; node < inner; node++) this.first[node + 1] = this.first[node] + children[node];
  }

  /** Where a text is that has no token yet: the nodes of its last 1, 2 … tokens, and the length of its line. */
  initialState() {
    return new Int32Array(this.contexts + 1).fill(-1, 0, this.contexts);
  }

  /** Takes a state past `token`. */
  read(token, state) {
    const context = this.folded[token];
    for (let k = this.contexts - 1; k > 0; k--) state[k] = this.child(state[k - 1], context);
    if (this.contexts) state[0] = context;
    state[this.contexts] = this.lines.length && token === this.newline ? 0 : state[this.contexts] + 1;
  }

  child(node, token) {
    if (node < 0) return -1;
    let [low, high] = [this.first[node], this.first[node + 1]];
    const end = high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tokens[middle] < token) low = middle + 1;
      else high = middle;
    }
    return low < end && this.tokens[low] === token ? low : -1;
  }

  /** Mixes, in place, the network's logits of the next token. */
  mix(state, logits) {
    const scores = Float64Array.from(logits, (_, token) => this.logs[token]);
    let known = 0;
    for (; known < this.contexts; known++) {
      const node = state[known];
      if (node < 0 || this.first[node] === this.first[node + 1]) break;
      for (let token = 0; token < scores.length; token++) scores[token] += this.backoffs[node];
      for (let child = this.first[node]; child < this.first[node + 1]; child++) scores[this.tokens[child]] = this.logs[child];
    }
    const [network, weight] = [this.network[known], this.weight[known]];
    for (let token = 0; token < scores.length; token++) logits[token] = logits[token] * network + scores[token] * weight;
    if (this.lines.length) logits[this.newline] += this.lines[Math.min(state[this.contexts], this.lines.length - 1)];
  }
}
