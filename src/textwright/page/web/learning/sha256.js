// SHA-256 (FIPS 180-4), fed piece by piece. The browser's own is only there over https and at home,
// and a class opens this page from a teacher's address.

const primes = (count) => {
  const found = [];
  for (let number = 2; found.length < count; number++) if (found.every((one) => number % one)) found.push(number);
  return found;
};
const fraction = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));
const BEGIN = Int32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));

class Sha256 {
  constructor() {
    this.state = Int32Array.from(BEGIN);
    this.words = new Int32Array(64);
    this.block = new Uint8Array(64);
    this.length = 0;
  }

  feed(bytes) {
    let at = 0;
    let held = this.length % 64;
    this.length += bytes.length;
    if (held) {
      at = Math.min(64 - held, bytes.length);
      this.block.set(bytes.subarray(0, at), held);
      if (held + at < 64) return this;
      this.read(this.block, 0);
    }
    for (; at + 64 <= bytes.length; at += 64) this.read(bytes, at);
    this.block.set(bytes.subarray(at));
    return this;
  }

  read(bytes, at) {
    const { words: w, state } = this;
    for (let i = 0; i < 16; i++, at += 4) w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const t = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s + w[i - 7] + t) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + s + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
      const t = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (t + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] += value));
  }

  hex() {
    const bits = this.length * 8;
    const rest = this.length % 64;
    const end = new Uint8Array(rest < 56 ? 64 - rest : 128 - rest);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits >>> 0);
    this.feed(end);
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

/** The digest of pieces, Uint8Arrays or strings in UTF-8, one after the other; in hexadecimal. */
export function sha256(...pieces) {
  const digest = new Sha256();
  for (const piece of pieces) digest.feed(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
  return digest.hex();
}
