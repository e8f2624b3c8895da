// A token of a text: {text, shown, logprob, alts, own, unknown}. `logprob` is undefined until the model
// has read it, null where it has none; `own`: somebody's, not the model's; `unknown`: the model skips it.

const STEPS = [0.5, 1, 2, 3, 4.5, 6.5, 9]; // bits at which the next shade begins
const BETWEEN = "\u0001";
const INSIDE = "\u0000";

/** The shade of a token, 0 (expected) to 7 (a surprise). */
export function shade(logprob) {
  if (logprob === null || logprob === undefined) return 0;
  const bits = -logprob / Math.LN2;
  const step = STEPS.findIndex((limit) => bits < limit);
  return step < 0 ? STEPS.length : step;
}

/** Alternatives as one string: ten objects a token would take most of a long text's memory. */
export function packed(top) {
  return top.map(({ text, logprob }) => `${text}${INSIDE}${logprob.toFixed(4)}`).join(BETWEEN);
}

/** The alternatives of a token, [{text, logprob}], the likeliest first. */
export function alternatives({ alts }) {
  if (!alts) return [];
  return alts.split(BETWEEN).map((each) => {
    const [text, logprob] = each.split(INSIDE);
    return { text, logprob: Number(logprob) };
  });
}

/** Whether a prompt can end with this token; special tokens and parts of characters can't. */
export function writable(text) {
  return text !== "" && !/^<(pad|bos|eos|unk)>$/.test(text) && !/\\x[0-9a-f]{2}/.test(text);
}

export const joined = (tokens) => tokens.map(({ text }) => text).join("");

/** How many characters tokens have. */
export const lengthOf = (tokens) => tokens.reduce((sum, { text }) => sum + text.length, 0);

/** The first characters of tokens, `count` of them or a few more. */
export function headOf(tokens, count) {
  let head = "";
  for (let index = 0; index < tokens.length && head.length < count; index++) head += tokens[index].text;
  return head;
}

/** The index of the token that has the character at `place`, or the last one. */
export function tokenAt(tokens, place) {
  let end = 0;
  for (let index = 0; index < tokens.length; index++) {
    end += tokens[index].text.length;
    if (place < end) return index;
  }
  return tokens.length - 1;
}

/** Where a token begins, in characters. */
export function placeOf(tokens, index) {
  let place = 0;
  for (let at = 0; at < index; at++) place += tokens[at].text.length;
  return place;
}

/** Replaces the characters from `from` up to `to`; a token that is cut loses its probability. */
export function edited(tokens, from, to, inserted) {
  const before = [];
  const after = [];
  let place = 0;
  for (const token of tokens) {
    const end = place + token.text.length;
    if (end <= from) before.push(token);
    else if (place >= to) after.push(token);
    else {
      const head = token.text.slice(0, Math.max(0, from - place));
      const tail = token.text.slice(Math.max(0, to - place));
      if (head) before.push(part(token, head));
      if (tail) after.push(part(token, tail));
    }
    place = end;
  }
  if (!inserted) return [...before, ...after];
  const last = before.at(-1);
  if (last?.own && last.logprob === undefined && !last.unknown) before[before.length - 1] = { ...last, text: last.text + inserted };
  else before.push({ text: inserted, own: true });
  return [...before, ...after];
}

const part = ({ own }, text) => ({ text, own });

/** The edit that makes one text of another: {from, to, inserted}; null where they are equal. */
export function difference(old, now) {
  if (old === now) return null;
  const most = Math.min(old.length, now.length);
  let from = 0;
  while (from < most && old[from] === now[from]) from++;
  let end = 0;
  while (end < most - from && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  return { from, to: old.length - end, inserted: now.slice(from, now.length - end) };
}

/** From where a text is to be read again after an edit: a token may reach back to its word's start. */
export function rereadFrom(text, place) {
  const before = text.slice(0, place);
  return Math.max(0, before.search(/\s*\S*$/u));
}

/**
 * Tokens with those that the model has read in place of the ones from there on.
 *
 * read: {from, tokens: [{start, end, shown, logprob, alts}]}, places in characters of the text.
 * What lies between two of them the model doesn't know.
 */
export function reread(tokens, { from, tokens: read }) {
  const text = joined(tokens);
  const own = ownership(tokens);
  const done = edited(tokens, from, text.length, "");
  let place = from;
  const unknown = (end) => {
    if (end > place) done.push({ text: text.slice(place, end), own: own(place), unknown: true, logprob: null });
  };
  for (const { start, end, ...rest } of read) {
    unknown(start);
    if (end > Math.max(start, place)) done.push({ text: text.slice(Math.max(start, place), end), own: own(start), ...rest });
    place = Math.max(place, end);
  }
  unknown(text.length);
  return done;
}

function ownership(tokens) {
  let index = 0;
  let end = tokens[0]?.text.length ?? 0;
  return (place) => { // asked in order
    while (place >= end && index < tokens.length - 1) end += tokens[++index].text.length;
    return tokens[index]?.own;
  };
}

/** Whether a token waits to be read. */
export const unread = (token) => token.logprob === undefined;

/** Bits of surprise a character over tokens that have a probability; null without any. */
export function bitsPerCharacter(tokens) {
  let bits = 0;
  let characters = 0;
  for (const { logprob, text } of tokens) {
    if (logprob === null || logprob === undefined) continue;
    bits -= logprob / Math.LN2;
    characters += [...text].length;
  }
  return characters ? bits / characters : null;
}
