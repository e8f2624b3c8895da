// The random generator of a text: Philox 4×64 with 10 rounds, the same numbers as NumPy's `Philox`.
// Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.

const WORD = (1n << 64n) - 1n;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];

export class Philox {
  /** `seed`: the key, 0 ≤ seed < 2¹²⁸, as a number, a BigInt or a string of digits. */
  constructor(seed) {
    this.key = BigInt(seed);
    this.counter = 0n;
    this.words = [];
  }

  /** The next 64 bits, a BigInt. */
  next() {
    if (!this.words.length) this.words = this.block(++this.counter);
    return this.words.shift();
  }

  /** A number in [0, 1): the upper 53 bits of the next word. */
  uniform() {
    return Number(this.next() >> 11n) * 2 ** -53;
  }

  /** The four 64-bit words for a value of the counter. */
  block(counter) {
    let [a, b, c, d] = [counter & WORD, counter >> 64n, 0n, 0n];
    let [one, two] = [this.key & WORD, this.key >> 64n];
    for (let round = 0; round < 10; round++) {
      const left = a * MULTIPLIERS[0];
      const right = c * MULTIPLIERS[1];
      [a, b, c, d] = [(right >> 64n) ^ b ^ one, right & WORD, (left >> 64n) ^ d ^ two, left & WORD];
      one = (one + WEYL[0]) & WORD;
      two = (two + WEYL[1]) & WORD;
    }
    return [a, b, c, d];
  }
}
