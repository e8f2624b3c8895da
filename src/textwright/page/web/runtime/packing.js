// Packs weights for a file, as `page/packing.py` does: matrices as float16, the rest as float32.

const MOST = 65504; // of a float16

/** {index, bytes} of tensors, {name: {shape, data}}; `readTensors(index, bytes)` has them again. */
export function packTensors(tensors) {
  const index = {};
  const parts = [];
  let at = 0;
  for (const name of Object.keys(tensors).sort()) {
    const { shape, data } = tensors[name];
    const dtype = shape.length < 2 || data.some((value) => Math.abs(value) > MOST) ? "float32" : "float16";
    const values = dtype === "float32" ? Float32Array.from(data) : Uint16Array.from(data, half);
    index[name] = { shape: [...shape], dtype, at };
    parts.push(new Uint8Array(values.buffer));
    at += values.byteLength;
  }
  const bytes = new Uint8Array(at);
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return { index, bytes };
}

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** The bits of the float16 that is nearest to a number; of two as near the even one. */
export function half(value) {
  single[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000;
  const size = Math.abs(single[0]);
  if (!(size <= MOST)) return sign | (Number.isNaN(size) ? 0x7e00 : 0x7c00);
  const exponent = Math.max(-14, (bits[0] >>> 23 & 255) - 127);
  const steps = nearest(size * 2 ** (10 - exponent)); // of the last place; 1024 to 2048, or fewer at the bottom
  return sign | (((exponent + 14) << 10) + steps);
}

function nearest(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
}

/** Bytes as base64. */
export function base64(bytes) {
  const texts = [];
  for (let at = 0; at < bytes.length; at += 0x8000 - 2) texts.push(btoa(String.fromCharCode(...bytes.subarray(at, at + 0x8000 - 2))));
  return texts.join("");
}
