// The safetensors format: the length of a JSON header, the header, the tensors' bytes. Tensors are
// {shape, data: Float32Array} by name.

import { half } from "../runtime/tensors.js";
import { t } from "../words.js";

const SIZES = { F64: 8, F32: 4, F16: 2, BF16: 2 };
const MOST = 1 << 28; // bytes of a file, and of its header

/** The bytes of a file with these tensors, as float32. */
export function toSafetensors(tensors, metadata = null) {
  const header = metadata ? { __metadata__: metadata } : {};
  let at = 0;
  const names = Object.keys(tensors).sort();
  for (const name of names) {
    const { shape, data } = tensors[name];
    header[name] = { dtype: "F32", shape, data_offsets: [at, (at += 4 * data.length)] };
  }
  const plain = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(plain.length / 8) * 8;
  const bytes = new Uint8Array(8 + length + at).fill(32, 8, 8 + length);
  new DataView(bytes.buffer).setUint32(0, length, true);
  bytes.set(plain, 8);
  for (const name of names) {
    const { data } = tensors[name];
    const [begin] = header[name].data_offsets;
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 8 + length + begin);
  }
  return bytes;
}

/** The tensors of a file, as float32; others than floats are left out. Throws an Error where it is damaged. */
export function fromSafetensors(bytes, name) {
  const damaged = () => new Error(t("{name} is damaged; copy it again", { name }));
  if (bytes.length < 8 || bytes.length > MOST) throw damaged();
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw damaged();
  }
  const tensors = {};
  for (const [key, entry] of Object.entries(header)) {
    if (key === "__metadata__") continue;
    const { dtype, shape, data_offsets: [begin, end] = [] } = entry ?? {};
    const size = SIZES[dtype];
    const count = Array.isArray(shape) ? shape.reduce((product, one) => product * one, 1) : -1;
    if (!size) continue;
    if (!(begin >= 0 && end - begin === size * count && 8 + length + end <= bytes.length)) throw damaged();
    tensors[key] = { shape, data: floats(bytes.slice(8 + length + begin, 8 + length + end).buffer, dtype) };
  }
  return tensors;
}

function floats(buffer, dtype) {
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F64") return Float32Array.from(new Float64Array(buffer));
  const halves = new Uint16Array(buffer);
  // bfloat16 is the upper half of a float32
  if (dtype === "BF16") return new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer);
  return Float32Array.from(halves, half);
}
