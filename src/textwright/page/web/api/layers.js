// Decodes the activations in the server's response for the views.

/** Layers from base64: layers[layer][token] is a vector of units, or a list of heads. */
export function layersOf({ kind, layers, shapes }) {
  return layers.map((text, number) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return kind === "attention" ? heads(new Uint16Array(bytes.buffer), shapes[number]) : units(new Int8Array(bytes.buffer), shapes[number]);
  });
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
