// Assigns the text of a stream to its tokens.

import { packed } from "../state/tokens.js";

/**
 * The API sends tokens and text separately. The name of a token may differ from its text: where it
 * is a part of a character, or the tokenizer spells it otherwise.
 */
const MARK = /^<(bos|system|user|assistant)>$/; // opens a turn, has no text

export class Pieces {
  constructor() {
    this.text = "";
    this.waiting = [];
  }

  /** Adds text and tokens; returns the tokens whose text is known. */
  push(text, logprobs) {
    this.text += text;
    logprobs?.tokens.forEach((shown, index) => {
      if (MARK.test(shown)) return;
      const top = Object.entries(logprobs.top_logprobs?.[index] ?? {});
      this.waiting.push({
        shown, logprob: logprobs.token_logprobs[index],
        alts: packed(top.map(([other, logprob]) => ({ text: other, logprob })).sort((a, b) => b.logprob - a.logprob)),
      });
    });
    const done = [];
    for (;;) {
      const count = this.matched();
      if (count === null) return done;
      done.push(...this.take(count));
    }
  }

  /** At the end: the rest of the tokens, with the rest of the text. */
  rest() {
    const done = this.waiting.length && this.text ? [{ ...this.waiting[0], text: this.text }] : [];
    if (!this.waiting.length && this.text) done.push({ text: this.text, shown: this.text, logprob: null });
    this.text = "";
    this.waiting = [];
    return done;
  }

  /** How many tokens precede the first one whose name is found in the text; null: none is yet. */
  matched() {
    const [first] = this.waiting;
    if (first && first.shown.toLowerCase().startsWith(this.text.toLowerCase())) return first.shown.length === this.text.length ? 0 : null;
    for (let index = 0; index < this.waiting.length; index++) {
      const place = this.placeOf(this.waiting[index].shown, index > 0);
      if (place >= 0) return index;
    }
    return null;
  }

  placeOf(shown, later) {
    if (!shown || this.text.length < shown.length) return -1;
    const text = this.text.toLowerCase();
    const name = shown.toLowerCase();
    return later ? text.indexOf(name, 1) : text.startsWith(name) ? 0 : -1;
  }

  take(before) {
    const place = before ? this.placeOf(this.waiting[before].shown, true) : 0;
    const odd = this.waiting.splice(0, before);
    const done = odd.length ? [{ ...odd[0], text: this.text.slice(0, place) }] : [];
    const token = this.waiting.shift();
    const text = this.text.slice(place, place + token.shown.length);
    this.text = this.text.slice(place + token.shown.length);
    return [...done, { ...token, text }];
  }
}
