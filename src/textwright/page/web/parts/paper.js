// The paper: a text that is typed into like any other, its tokens in colour behind the letters.
//
// A transparent textarea lies on the coloured text, letter on letter, so cursor, selection, input
// methods, undo by touch and screen readers are the browser's own. Lines that did not change keep
// their elements.

import { el } from "./dom.js";
import { difference, joined, shade, tokenAt } from "../state/tokens.js";

const LATER = 400; // milliseconds between two updates of a textarea that nobody is in

export class Paper {
  /** onedit({from, to, inserted}), oncaret(place), onpoint(index, box | null), onpick(index, box). */
  constructor({ label, placeholder = "", onedit, oncaret = () => {}, onpoint = () => {}, onpick = () => {} }) {
    Object.assign(this, { onedit, oncaret, onpoint, onpick });
    this.tokens = [];
    this.lines = [];
    this.marked = new Set();
    this.colour = (token) => `s${shade(token.logprob)}`;
    this.backdrop = el("div", { class: "letters", "aria-hidden": "true" });
    this.input = el("textarea", {
      class: "typed", spellcheck: false, autocomplete: "off", autocapitalize: "off", "aria-label": label, placeholder, dir: "auto",
      oninput: () => this.composing || this.read(), oncompositionstart: () => (this.composing = true),
      oncompositionend: () => { this.composing = false; this.read(); },
      onselect: () => this.caret(), onkeyup: () => this.caret(), onclick: (event) => this.click(event),
      onfocus: () => this.sync(true), onpointerdown: () => (this.held = true), onpointermove: (event) => this.point(event), onpointerleave: () => this.onpoint(-1, null),
    });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => this.release());
    this.element = el("div", { class: "paper tokens" }, this.backdrop, this.input);
  }

  /** Shows tokens; `place`: where the cursor goes, else it stays; `growing`: more follow at once. */
  show(tokens, place = null, growing = false) {
    if (tokens !== this.tokens) {
      const before = this.tokens;
      this.tokens = tokens;
      this.draw(before);
    }
    this.sync(!growing || document.activeElement === this.input, place);
  }

  /** Draws all anew, with another function from a token to its class. */
  recolour(colour) {
    this.colour = colour;
    this.lines = [];
    this.backdrop.replaceChildren();
    this.draw();
  }

  /** Underlines some tokens, and no others. */
  mark(tokens) {
    this.marked = new Set(tokens);
    for (const { pieces, element } of this.lines) pieces.forEach(({ token }, index) => element.children[index]?.classList.toggle("copied", this.marked.has(token)));
  }

  draw(before = []) {
    const [lines, kept] = linesOf(this.tokens, before, this.lines);
    let head = kept;
    while (head < this.lines.length && head < lines.length && same(this.lines[head], lines[head])) head++;
    let tail = 0;
    while (tail < this.lines.length - head && tail < lines.length - head && same(this.lines.at(-1 - tail), lines.at(-1 - tail))) tail++;
    const old = this.lines.slice(head, this.lines.length - tail);
    const fresh = lines.slice(head, lines.length - tail);
    const after = this.lines[this.lines.length - tail]?.element ?? null;
    // a line that only grew keeps what it has: so a text that is being written is cheap
    if (old.length && fresh.length && begins(old[0], fresh[0])) {
      const [line] = fresh;
      line.element = old[0].element;
      line.element.querySelector("br")?.remove();
      line.element.lastElementChild?.classList.remove("eol");
      line.element.append(...line.pieces.slice(old[0].pieces.length).map((piece) => this.span(piece)));
      finish(line);
      old.shift();
      fresh.shift();
    }
    for (const { element } of old) element.remove();
    for (const line of fresh) {
      line.element = el("div", { class: "row-of-text" }, line.pieces.map((piece) => this.span(piece)));
      finish(line);
      this.backdrop.insertBefore(line.element, after);
    }
    for (let index = 0; index < head; index++) lines[index].element = this.lines[index].element;
    for (let index = 1; index <= tail; index++) lines.at(-index).element = this.lines.at(-index).element;
    this.lines = lines;
  }

  span({ token, text }) {
    const span = el("span", { class: `t ${this.colour(token)}${token.own ? " own" : ""}${token.unknown ? " unknown" : ""}${this.marked.has(token) ? " copied" : ""}` }, text);
    span.token = token;
    return span;
  }

  /** Puts the text into the textarea, now or soon. */
  sync(now, place = null) {
    if (this.composing || this.held) return; // what is pressed on or selected stays as it is
    if (!now) {
      this.timer ??= setTimeout(() => { this.timer = null; this.sync(true); }, LATER);
      return;
    }
    const text = joined(this.tokens);
    this.known = text;
    if (this.input.value !== text) {
      const { selectionStart, selectionEnd } = this.input;
      const change = difference(this.input.value, text);
      const moved = (at) => (at <= change.from ? at : Math.max(change.from, at + change.inserted.length - (change.to - change.from)));
      const atEnd = selectionStart === this.input.value.length;
      this.input.value = text;
      const [begin, end] = atEnd && place === null ? [text.length, text.length] : [moved(selectionStart), moved(selectionEnd)];
      this.input.setSelectionRange(begin, end);
    }
    if (place !== null) {
      const at = Math.min(place, text.length);
      this.input.setSelectionRange(at, at);
    }
  }

  release() {
    if (!this.held) return;
    this.held = false;
    this.sync(true);
  }

  read() {
    const change = difference(this.known ?? "", this.input.value);
    this.known = this.input.value;
    if (change) this.onedit(change);
    this.caret();
  }

  caret() {
    this.oncaret(this.input.selectionEnd);
  }

  get place() {
    return this.input.selectionEnd;
  }

  /** The element of the token at `index`. */
  spanOf(index) {
    const token = this.tokens[index];
    for (const { pieces, element } of this.lines) {
      const at = pieces.findIndex((piece) => piece.token === token);
      if (at >= 0) return element.children[at];
    }
    return null;
  }

  under(event) {
    const span = document.elementsFromPoint(event.clientX, event.clientY).find((one) => one.token && this.backdrop.contains(one));
    return span ? [this.tokens.indexOf(span.token), span] : [-1, null];
  }

  point(event) {
    if (event.pointerType === "touch" || event.buttons) return;
    const [index, span] = this.under(event);
    if (index === this.pointed) return;
    this.pointed = index;
    this.onpoint(index, span);
  }

  click(event) {
    this.caret();
    if (this.input.selectionStart !== this.input.selectionEnd) return;
    let [index, span] = this.under(event);
    if (index < 0) { // a line end has no width: who clicks behind a line means that
      [index, span] = this.here();
      if (!this.tokens[index]?.text.startsWith("\n") || this.place >= joined(this.tokens).length) return;
    }
    this.onpick(index, span);
  }

  /** The token that the cursor stands before, and its element. */
  here() {
    const index = tokenAt(this.tokens, Math.min(this.place, joined(this.tokens).length - 1));
    return [index, this.spanOf(index)];
  }
}

/**
 * Lines of pieces of tokens, {pieces: [{token, text}], ends, from}, and how many of them are `known`, the lines of the tokens
 * `before`, where these only grew. from: the index of the token that a line begins with; null: it begins within one.
 */
function linesOf(tokens, before, known) {
  let kept = 0;
  if (before.length && before.length <= tokens.length && before.every((token, index) => token === tokens[index])) {
    kept = known.length - 1;
    while (kept > 0 && known[kept].from === null) kept--;
  }
  const begin = kept ? known[kept].from : 0;
  const lines = [...known.slice(0, kept), { pieces: [], ends: false, from: begin }];
  for (let at = begin; at < tokens.length; at++) {
    const token = tokens[at];
    if (!token.text.includes("\n")) {
      lines.at(-1).pieces.push({ token, text: token.text });
      continue;
    }
    const parts = token.text.split("\n");
    parts.forEach((text, index) => {
      if (text || index < parts.length - 1) lines.at(-1).pieces.push({ token, text });
      if (index === parts.length - 1) return;
      lines.at(-1).ends = true;
      lines.push({ pieces: [], ends: false, from: token.text.endsWith("\n") && index === parts.length - 2 ? at + 1 : null });
    });
  }
  return [lines, kept];
}

const equal = (a, b) => a.token === b.token && a.text === b.text;
const same = (a, b) => a.ends === b.ends && a.pieces.length === b.pieces.length && a.pieces.every((piece, index) => equal(piece, b.pieces[index]));
const begins = (a, b) => a.pieces.length <= b.pieces.length && a.pieces.every((piece, index) => equal(piece, b.pieces[index]));

/** The sign of a line end, and a height for a line without letters. */
function finish({ pieces, ends, element }) {
  if (ends) element.lastElementChild?.classList.add("eol");
  if (!pieces.some(({ text }) => text)) element.append(el("br"));
}
