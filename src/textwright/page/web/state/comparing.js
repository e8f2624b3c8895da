// What a text costs several models, character by character: that alone can be compared where they cut
// it into other tokens.

export const UNKNOWN = 8; // bits of a character that a model doesn't know

/** Bits of each character of `text`; a token's are shared by its characters. tokens: as `api.read` gives them. */
export function bitsByCharacter(text, tokens) {
  const bits = new Array(text.length).fill(UNKNOWN);
  for (const { start, end, shown, logprob } of tokens) {
    if (logprob === null || shown === "<unk>") continue;
    for (let at = start; at < end; at++) bits[at] = -logprob / Math.LN2 / (end - start);
  }
  return bits;
}

export const mean = (bits) => bits.reduce((sum, one) => sum + one, 0) / Math.max(1, bits.length);

/** [{word, difference}]: the words of a text and what stands between, with how many bits a character more they cost `one`. */
export function byWord(text, one, other) {
  const parts = text.match(/\s+|\S+/gu) ?? [];
  let place = 0;
  return parts.map((word) => {
    const [from, to] = [place, place + word.length];
    place = to;
    return { word, difference: mean(one.slice(from, to)) - mean(other.slice(from, to)) };
  });
}
