// torch's random numbers on a processor: the Mersenne Twister (Matsumoto and Nishimura, 1998), and
// the uniform and normal numbers that it makes of it.

const LENGTH = 624;
const BEHIND = 397;

export class Twister {
  constructor(seed) {
    this.words = new Uint32Array(LENGTH);
    this.words[0] = seed;
    for (let i = 1; i < LENGTH; i++) {
      const last = this.words[i - 1];
      this.words[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
    this.place = LENGTH;
  }

  /** The next 32 bits. */
  next() {
    if (this.place === LENGTH) this.refill();
    let word = this.words[this.place++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  refill() {
    const words = this.words;
    for (let i = 0; i < LENGTH; i++) {
      const both = (words[i] & 0x80000000) | (words[(i + 1) % LENGTH] & 0x7fffffff);
      words[i] = words[(i + BEHIND) % LENGTH] ^ (both >>> 1) ^ (both & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  /** Draws that a tensor of so many uniform numbers takes, and that nobody needs. */
  skip(count) {
    for (; count > 0; count--) this.next();
  }

  /** `tensor.uniform_(low, high)`, in place. */
  uniform(numbers, low = 0, high = 1) {
    for (let i = 0; i < numbers.length; i++) numbers[i] = (this.next() & 0xffffff) * 2 ** -24 * (high - low) + low;
    return numbers;
  }

  /** `tensor.normal_(0, deviation)` of at least 16 numbers: sixteen at a time (Box and Muller, 1958). */
  normal(numbers, deviation = 1) {
    this.uniform(numbers);
    for (let at = 0; at + 16 <= numbers.length; at += 16) sixteen(numbers, at, deviation);
    if (numbers.length % 16) {
      const last = numbers.length - 16;
      this.uniform(numbers.subarray(last));
      sixteen(numbers, last, deviation);
    }
    return numbers;
  }
}

function sixteen(numbers, at, deviation) {
  for (let i = at; i < at + 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - numbers[i])) * deviation;
    const angle = 2 * Math.PI * numbers[i + 8];
    numbers[i] = radius * Math.cos(angle);
    numbers[i + 8] = radius * Math.sin(angle);
  }
}
