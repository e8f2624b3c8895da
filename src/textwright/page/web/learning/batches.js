// Which tokens a step trains on: a pure function of (seed, step, sample), as
// textwright/training/loop/batches.py tells it.

import { Draws, seedWords } from "./seeds.js";

const FRESH = 0x46;

/** Batches of the order that the family reads in: shuffled windows, or streams that carry the state. */
export function makeBatches(config, tokens, batchSize, seed) {
  return new (config.family === "gpt" ? Windows : Streams)(tokens, config.block_size, batchSize, seed);
}

class Windows {
  constructor(tokens, blockSize, batchSize, seed) {
    if (tokens.length < 2 * blockSize) throw tooShort(tokens.length, 2 * blockSize);
    Object.assign(this, { tokens, blockSize, batchSize, seed });
    this.blocks = Math.floor((tokens.length - blockSize) / blockSize);
    this.orders = new Map();
  }

  resetsState() {
    return true;
  }

  /** Row `sample` of a step, blockSize + 1 tokens: what is read, and one further on what is predicted. */
  row(step, sample) {
    const number = step * this.batchSize + sample;
    const { offset, order } = this.order(Math.floor(number / this.blocks));
    const start = offset + order[number % this.blocks] * this.blockSize;
    return this.tokens.subarray(start, start + this.blockSize + 1);
  }

  order(epoch) {
    if (!this.orders.has(epoch)) {
      if (this.orders.size > 3) this.orders.delete(this.orders.keys().next().value);
      const draws = new Draws([this.seed, epoch]);
      const offset = draws.below(this.blockSize);
      this.orders.set(epoch, { offset, order: draws.permutation(this.blocks) });
    }
    return this.orders.get(epoch);
  }
}

class Streams {
  constructor(tokens, blockSize, batchSize, seed) {
    this.steps = Math.floor(tokens.length / batchSize / blockSize);
    if (this.steps < 1) throw tooShort(tokens.length, batchSize * blockSize);
    Object.assign(this, { tokens, blockSize, batchSize, seed, epoch: -1, offset: 0 });
  }

  resetsState(step) {
    return step % this.steps === 0;
  }

  row(step, sample) {
    const epoch = Math.floor(step / this.steps);
    const length = this.tokens.length;
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.offset = new Draws([this.seed, epoch]).below(length);
    }
    const stretch = Math.floor(length / this.batchSize);
    const start = (this.offset + sample * stretch + (step % this.steps) * this.blockSize) % length;
    const row = new Int32Array(this.blockSize + 1);
    const piece = this.tokens.subarray(start, start + row.length);
    row.set(piece);
    row.set(this.tokens.subarray(0, row.length - piece.length), piece.length);
    return row;
  }
}

/** Which samples of a step begin from nothing: of all steps, the share `share`. */
export function freshStarts(seed, step, samples, share) {
  const draws = new Draws([seed, step, FRESH]);
  return Array.from({ length: samples }, () => draws.uniform() < share);
}

/** The key of a sample's dropout masks in a step. */
export function dropoutKey(seed, step, sample) {
  return seedWords([seed, step, sample], 1)[0];
}

function tooShort(tokens, needed) {
  return new Error(`the training text has ${tokens} tokens, fewer than the ${needed} that this model needs at least; give it more text`);
}
