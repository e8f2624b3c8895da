// Where in a text the tokens are that it was read as.

/**
 * For each piece of text that a token decodes to its place, {start, end}, in UTF-16 units.
 *
 * kind: of the tokenizer; reads(character): whether its vocabulary has it, in some form. What a
 * vocabulary of characters lacks is in no token.
 */
export function placesOf(text, pieces, kind, reads) {
  if (kind === "char") return characters(text, pieces, reads);
  return kind === "bpe" ? bytes(text, pieces) : words(text, pieces);
}

function characters(text, pieces, reads) {
  let place = 0;
  return pieces.map(() => {
    while (place < text.length && !reads(at(text, place))) place += at(text, place).length;
    const start = place;
    place += at(text, place).length;
    return { start, end: place };
  });
}

const at = (text, place) => (place < text.length ? String.fromCodePoint(text.codePointAt(place)) : "");

/** Byte pairs decode to the text itself; a conversation's turn has a space before it. */
function bytes(text, pieces) {
  let place = pieces.join("").startsWith(" ") && !text.startsWith(" ") ? -1 : 0;
  return pieces.map((piece) => {
    const start = Math.max(0, place);
    place += piece.length;
    return { start: Math.min(start, text.length), end: Math.min(Math.max(0, place), text.length) };
  });
}

/** A word is sought from where the last one ended; an unknown one is the next that there is. */
function words(text, pieces) {
  const lower = text.toLowerCase();
  let place = 0;
  const starts = pieces.map((piece, index) => {
    const core = piece.trim().toLowerCase();
    const found = core ? lower.indexOf(core, place) : -1;
    const near = found >= 0 && !/\S\s+\S/.test(text.slice(place, found));
    const start = place;
    if (near) place = found + core.length;
    else place += /^\s*\S*/.exec(text.slice(place))[0].length || 1;
    return index ? Math.min(start, text.length) : 0;
  });
  return starts.map((start, index) => ({ start, end: starts[index + 1] ?? text.length }));
}
