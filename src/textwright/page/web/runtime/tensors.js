// The weights in the file, and the matrix product.

/** Decodes base64. */
export function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * Float32Arrays by name.
 *
 * index: {name: {shape, dtype, at}} with `at` the first byte. float16 and float32 values are stored
 * as such; an int8 matrix as a float32 scale per row, then its rows.
 */
export function readTensors(index, bytes) {
  const tensors = {};
  for (const [name, { shape, dtype, at }] of Object.entries(index)) {
    const count = shape.reduce((product, size) => product * size, 1);
    tensors[name] = READERS[dtype](bytes, bytes.byteOffset + at, count, shape[0]);
  }
  return tensors;
}

const READERS = {
  float32: (bytes, at, count) => new Float32Array(bytes.buffer.slice(at, at + 4 * count)),
  float16: (bytes, at, count) => {
    const halves = new Uint16Array(bytes.buffer.slice(at, at + 2 * count));
    return Float32Array.from(halves, half);
  },
  int8: (bytes, at, count, rows) => {
    const scales = new Float32Array(bytes.buffer.slice(at, at + 4 * rows));
    const values = new Int8Array(bytes.buffer, at + 4 * rows, count);
    const width = count / rows;
    const wide = new Float32Array(count);
    for (let row = 0, i = 0; row < rows; row++) {
      for (const end = i + width; i < end; i++) wide[i] = values[i] * scales[row];
    }
    return wide;
  },
};

/** A float16's value from its bits. */
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** y = W x + b with rows of W (rows, x.length) from `first` on; b is optional. */
export function product(weight, x, y, bias, first = 0) {
  const width = x.length;
  const rest = width & 3;
  for (let row = 0, at = first * width; row < y.length; row++) {
    // four independent sums, which the processor computes in parallel
    let a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i < width - rest; i += 4, at += 4) {
      a += weight[at] * x[i];
      b += weight[at + 1] * x[i + 1];
      c += weight[at + 2] * x[i + 2];
      d += weight[at + 3] * x[i + 3];
    }
    for (; i < width; i++, at++) a += weight[at] * x[i];
    y[row] = a + b + (c + d) + (bias ? bias[first + row] : 0);
  }
  return y;
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
