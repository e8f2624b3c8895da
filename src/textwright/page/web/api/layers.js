// Decodes the activations in the server's response for the views.

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;

/**
 * {units, peaks, attention}: units[layer][token] is a vector of values between −1 and 1; peaks[layer], of an attention
 * model, what its channels are to be multiplied by; attention[layer][token] a list of heads, of attention models.
 */
export function layersOf({ kind, layers, shapes, stream }) {
  if (kind !== "attention") return { units: layers.map((text, number) => units(new Int8Array(bytes(text)), shapes[number])) };
  return {
    attention: layers.map((text, number) => heads(new Uint16Array(bytes(text)), shapes[number])),
    units: stream.layers.map((text) => units(new Int8Array(bytes(text)), stream.shape)),
    peaks: stream.peaks.map((text) => new Float32Array(bytes(text))),
  };
}

/** (T, width), scaled by 127. */
function units(values, [count, width]) {
  return Array.from({ length: count }, (_, token) => Float32Array.from(values.subarray(token * width, (token + 1) * width), (value) => value / 127));
}

/** (heads, T, T), scaled by 65535; of each row the part up to its token. */
function heads(values, [count, size]) {
  return Array.from({ length: size }, (_, token) =>
    Array.from({ length: count }, (__, head) => {
      const begin = (head * size + token) * size;
      return Float32Array.from(values.subarray(begin, begin + token + 1), (value) => value / 65535);
    }),
  );
}
