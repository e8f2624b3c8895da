// ZIP archives: a run folder in one file. Parts are deflated where the browser can, and stored elsewhere.

import { t } from "../words.js";

const MOST = 1 << 28; // bytes of an archive, and of what it unpacks to
const UTF8 = 1 << 11; // how a part's name is written
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

async function through(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

async function deflated(bytes) {
  try {
    return await through(bytes, new CompressionStream("deflate-raw"));
  } catch {
    return null; // an older browser
  }
}

/** The archive of {path: Uint8Array}, as a Uint8Array; `date` is that of all its parts. */
export async function zip(files, date = new Date()) {
  const day = ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [path, bytes] of Object.entries(files)) {
    const name = new TextEncoder().encode(path);
    const small = await deflated(bytes);
    const packs = small !== null && small.length < bytes.length;
    const body = packs ? small : bytes;
    const shared = [[2, 20], [2, UTF8], [2, packs ? 8 : 0], [2, time], [2, day], [4, crc32(bytes)], [4, body.length], [4, bytes.length], [2, name.length], [2, 0]];
    const head = record([[4, 0x04034b50], ...shared]);
    parts.push(head, name, body);
    directory.push(record([[4, 0x02014b50], [2, 20], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), name);
    at += head.length + name.length + body.length;
  }
  const count = Object.keys(files).length;
  const size = directory.reduce((sum, one) => sum + one.length, 0);
  const end = record([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]]);
  return joined([...parts, ...directory, end]);
}

function record(fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  let at = 0;
  for (const [size, value] of fields) for (let i = 0; i < size; i++) bytes[at++] = value >>> (8 * i);
  return bytes;
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The files of an archive, {path: Uint8Array}. Throws an Error where it is damaged or no archive. */
export async function unzip(bytes, name = "archive.zip") {
  const damaged = () => new Error(t("{name} is damaged, or no ZIP archive; download it again", { name }));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const files = {};
  try {
    let end = bytes.length - 22;
    while (view.getUint32(end, true) !== 0x06054b50) end--;
    let at = view.getUint32(end + 16, true);
    let total = 0;
    for (let left = view.getUint16(end + 10, true); left > 0; left--) {
      const [method, crc] = [view.getUint16(at + 10, true), view.getUint32(at + 16, true)];
      const [packed, size] = [view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
      const length = view.getUint16(at + 28, true);
      const path = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + length));
      const local = view.getUint32(at + 42, true);
      at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
      if ((total += size) > MOST) throw damaged();
      if (path.endsWith("/")) continue;
      const begin = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const body = bytes.subarray(begin, begin + packed);
      const whole = method === 8 ? await through(body, new DecompressionStream("deflate-raw")) : body.slice();
      if (whole.length !== size || crc32(whole) !== crc) throw damaged();
      files[path] = whole;
    }
  } catch {
    throw damaged();
  }
  return files;
}
