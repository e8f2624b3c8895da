// Streams of random numbers of a training: NumPy's SeedSequence, and its Generator over Philox.
// Batches, dropout and fresh starts are drawn by these, so they are the same here and in Python.

import { Philox } from "../runtime/philox.js";

const POOL = 4;

const folded = (value) => (value ^ (value >>> 16)) >>> 0;

/** 32-bit words of `numpy.random.SeedSequence(numbers).generate_state(count)`. */
export function seedWords(numbers, count) {
  const entropy = numbers.flatMap((number) => (number > 0xffffffff ? [number >>> 0, Math.floor(number / 2 ** 32)] : [number]));
  let constant = 0x43b0d7e5;
  const hashed = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    return folded(Math.imul(value, constant));
  };
  const mixed = (x, y) => folded(Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y));
  const pool = Array.from({ length: POOL }, (_, place) => hashed(entropy[place] ?? 0));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
  }
  for (const more of entropy.slice(POOL)) {
    for (let to = 0; to < POOL; to++) pool[to] = mixed(pool[to], hashed(more));
  }
  constant = 0x8b51f9dd;
  return Uint32Array.from({ length: count }, (_, place) => {
    const value = pool[place % POOL] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    return folded(Math.imul(value, constant));
  });
}

/** `numpy.random.Generator(Philox(SeedSequence(numbers)))`, as far as trainings need it. */
export class Draws {
  constructor(numbers) {
    const words = seedWords(numbers, 4);
    this.philox = new Philox(words.reduceRight((key, word) => (key << 32n) | BigInt(word), 0n));
    this.half = null;
  }

  /** The next 32 bits: those of a word's lower half, then those of its upper half. */
  bits() {
    if (this.half !== null) {
      const kept = this.half;
      this.half = null;
      return kept;
    }
    const word = this.philox.next();
    this.half = Number(word >> 32n);
    return Number(word & 0xffffffffn);
  }

  /** A whole number in [0, count), count < 2³² (Lemire, "Fast Random Integer Generation in an Interval", 2019). */
  below(count) {
    if (count === 1) return 0;
    const least = (2 ** 32 - count) % count;
    for (;;) {
      const product = BigInt(this.bits()) * BigInt(count);
      if (Number(product & 0xffffffffn) >= least) return Number(product >> 32n);
    }
  }

  /** The numbers from 0 to count − 1, shuffled; here numbers that are too large are drawn again. */
  permutation(count) {
    const order = Int32Array.from({ length: count }, (_, place) => place);
    for (let i = count - 1; i > 0; i--) {
      const mask = 2 ** (32 - Math.clz32(i)) - 1;
      let j = i + 1;
      while (j > i) j = (this.bits() & mask) >>> 0;
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A number in [0, 1). */
  uniform() {
    return this.philox.uniform();
  }
}
