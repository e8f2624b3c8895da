// A text with tokens coloured by probability; each shows its alternatives.

import { el, percent, visible } from "./dom.js";

const STEPS = [0.5, 1, 2, 3, 4.5, 6.5, 9]; // bits at which the next shade begins

/** The shade of a token, 0 (expected) to 7 (a surprise). */
export function shade(logprob) {
  if (logprob === null || logprob === undefined) return 0;
  const bits = -logprob / Math.LN2;
  const step = STEPS.findIndex((limit) => bits < limit);
  return step < 0 ? STEPS.length : step;
}

export function legend() {
  const swatches = Array.from({ length: 8 }, (_, step) => el("i", { class: `s${step}` }));
  return el(
    "span",
    { class: "legend", role: "img", "aria-label": "Colours: from a token the model expected to one that surprised it" },
    el("span", {}, "expected"), el("span", { class: "ramp" }, swatches), el("span", {}, "surprising"),
  );
}

/**
 * `element` and its keyboard and pointer handling.
 *
 * onchoose(index, alternative): called when an alternative to token `index` is chosen, or, with
 * null, the token itself; without it, alternatives are only shown. onpoint(index): on hover.
 */
export class TokenText {
  constructor({ label, onchoose = null, onpoint = null }) {
    this.tokens = [];
    this.onchoose = onchoose;
    this.onpoint = onpoint;
    this.current = 0;
    this.popover = null;
    this.element = el("div", {
      class: "tokens",
      role: "group",
      tabIndex: -1,
      "aria-label": `${label}. Arrow keys go from token to token, Enter shows what else was likely.`,
      onclick: (event) => this.click(event),
      onkeydown: (event) => this.key(event),
      onpointerover: (event) => this.point(event),
    });
  }

  clear() {
    this.close();
    this.tokens = [];
    this.current = 0;
    this.element.replaceChildren();
  }

  show(tokens, strong = 0) {
    this.clear();
    let place = 0;
    for (const token of tokens) {
      this.append(token, place < strong);
      place += token.text.length;
    }
  }

  append(token, strong = false) {
    const index = this.tokens.push(token) - 1;
    const element = el("span", {
      class: `t s${shade(token.logprob)}${strong ? " given" : ""}`,
      role: "button",
      tabIndex: index === 0 ? 0 : -1,
      "data-index": index,
      "aria-label": this.spoken(token),
    });
    if (token.text.endsWith("\n")) {
      element.append(token.text.slice(0, -1), el("i", { class: "return", "aria-hidden": "true" }), "\n");
    } else element.append(token.text);
    this.element.append(element);
    return element;
  }

  spoken({ shown, text, logprob }) {
    const name = visible(shown ?? text);
    return logprob === null || logprob === undefined ? name : `${name} ${percent(Math.exp(logprob))}`;
  }

  span(index) {
    return this.element.children[index];
  }

  focus(index) {
    const next = Math.max(0, Math.min(this.tokens.length - 1, index));
    this.span(this.current)?.setAttribute("tabindex", "-1");
    this.current = next;
    this.span(next)?.setAttribute("tabindex", "0");
    this.span(next)?.focus();
  }

  point(event) {
    const span = event.target.closest?.(".t");
    if (span && this.onpoint) this.onpoint(Number(span.dataset.index));
  }

  click(event) {
    const span = event.target.closest(".t");
    if (!span || getSelection().toString()) return;
    this.focus(Number(span.dataset.index));
    this.open(this.current);
  }

  key(event) {
    if (!event.target.classList.contains("t")) return;
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 0, ArrowUp: 0 };
    if (event.key in moves) {
      event.preventDefault();
      this.focus(moves[event.key] ? this.current + moves[event.key] : this.lineAway(event.key));
      this.onpoint?.(this.current);
    } else if (event.key === "Home") this.focus(0);
    else if (event.key === "End") this.focus(this.tokens.length - 1);
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.current);
    }
  }

  /** The token above or below the current one. */
  lineAway(key) {
    const here = this.span(this.current).getBoundingClientRect();
    const step = key === "ArrowDown" ? 1 : -1;
    let best = this.current;
    let line = null;
    for (let index = this.current + step; this.span(index); index += step) {
      const box = this.span(index).getBoundingClientRect();
      if (Math.abs(box.top - here.top) < here.height / 2) continue;
      line ??= box.top;
      if (Math.abs(box.top - line) > here.height / 2) break;
      const near = Math.abs(this.span(best).getBoundingClientRect().left - here.left);
      if (best === this.current || Math.abs(box.left - here.left) < near) best = index;
    }
    return best;
  }

  open(index) {
    this.close();
    const token = this.tokens[index];
    const span = this.span(index);
    if (!token.top?.length) {
      this.onpoint?.(index);
      return;
    }
    const most = Math.exp(token.top[0].logprob);
    const rows = token.top.map((other) => this.row(index, token, other, most));
    const inside = token.top.some((other) => other.text === (token.shown ?? token.text));
    if (!inside) rows.push(this.row(index, token, { text: token.shown ?? token.text, logprob: token.logprob }, most));
    const list = el("div", { class: "alternatives", role: "menu", "aria-label": "What else the model thought likely here" }, rows);
    const actions = this.onchoose
      ? el("button", { class: "quiet small", type: "button", onclick: () => this.choose(index, null) }, "Write on from here anew")
      : null;
    this.popover = el("div", { class: "popover" }, list, actions);
    this.popover.addEventListener("keydown", (event) => this.menuKey(event, index));
    document.body.append(this.popover);
    span.classList.add("open");
    this.place(span);
    this.outside = (event) => {
      if (!this.popover?.contains(event.target) && !this.element.contains(event.target)) this.close();
    };
    document.addEventListener("pointerdown", this.outside);
    this.moved = () => this.place(span);
    addEventListener("resize", this.moved);
    this.gone = () => this.close(); // another view was opened
    addEventListener("hashchange", this.gone);
    if (this.onchoose) (list.querySelector('[aria-current="true"]') ?? list.firstElementChild).focus({ preventScroll: true });
  }

  row(index, token, other, most) {
    const probability = Math.exp(other.logprob);
    const here = other.text === (token.shown ?? token.text);
    const bar = el("span", { class: "bar" });
    bar.style.setProperty("--share", `${(100 * probability) / Math.max(most, probability)}%`);
    const inside = [el("span", { class: "what" }, visible(other.text)), bar, el("span", { class: "share" }, percent(probability))];
    if (!this.onchoose) return el("div", { class: "row", "aria-current": here ? "true" : null }, inside);
    return el("button", {
      class: "row", type: "button", role: "menuitem", tabIndex: -1,
      "aria-current": here ? "true" : null,
      disabled: !writable(other.text),
      onclick: () => this.choose(index, other),
    }, inside);
  }

  menuKey(event, index) {
    const items = [...this.popover.querySelectorAll("button:not(:disabled)")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") {
      event.stopPropagation();
      this.close();
      this.focus(index);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      items[(at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length]?.focus();
    } else if (event.key === "Tab") {
      event.preventDefault();
      this.close();
      this.focus(index);
    }
  }

  choose(index, other) {
    this.close();
    this.element.focus({ preventScroll: true }); // the tokens are removed
    this.onchoose(index, other);
  }

  /** Places the popover below the token where it fits, else above, within the window. */
  place(span) {
    const box = span.getClientRects()[0] ?? span.getBoundingClientRect();
    const own = this.popover.getBoundingClientRect();
    const width = document.body.clientWidth;
    const left = Math.max(8, Math.min(width - own.width - 8, box.left - 12));
    const below = box.bottom + own.height + 12 < innerHeight || box.top < own.height + 12;
    const top = below ? box.bottom + 6 : box.top - own.height - 6;
    this.popover.style.left = `${left + scrollX}px`;
    this.popover.style.top = `${top + scrollY}px`;
  }

  close() {
    this.popover?.remove();
    this.popover = null;
    document.removeEventListener("pointerdown", this.outside);
    removeEventListener("resize", this.moved);
    removeEventListener("hashchange", this.gone);
    this.element.querySelector(".open")?.classList.remove("open");
  }
}

/** Whether a prompt can end with this token; special tokens and parts of characters can't. */
function writable(text) {
  return text !== "" && !/^<(pad|bos|eos|unk)>$/.test(text) && !/\\x[0-9a-f]{2}/.test(text);
}
