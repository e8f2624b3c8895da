// A text that is only read: tokens in colour, each with what else was likely.

import { Alternatives } from "./alternatives.js";
import { el, percent, visible } from "./dom.js";
import { shade } from "../state/tokens.js";
import { t } from "../words.js";

/**
 * `element` with its keyboard and pointer; onpoint(index): the pointer or the cursor is on a token; onmark(from, to): the
 * tokens from one up to another were marked, with the pointer or with Shift and the arrows.
 */
export class TokenText {
  constructor({ label, onpoint = null, onmark = null }) {
    this.tokens = [];
    Object.assign(this, { onpoint, onmark });
    this.anchor = null;
    this.current = 0;
    this.alternatives = new Alternatives({ onmove: (by) => this.open(this.current + by), onclose: (byKey) => byKey && this.focus(this.current) });
    this.element = el("div", {
      class: "tokens", role: "group", tabIndex: -1, dir: "auto",
      "aria-label": `${label}. ${t("Arrow keys go from token to token, Enter shows what else was likely.")}`,
      onclick: (event) => this.click(event), onkeydown: (event) => this.key(event), onpointerover: (event) => this.point(event), onpointerup: () => this.marked(),
    });
  }

  show(tokens) {
    this.alternatives.close();
    this.tokens = tokens;
    this.current = 0;
    this.element.replaceChildren(...tokens.map((token, index) => {
      return el("span", { class: `t s${shade(token.logprob)}`, role: "button", tabIndex: index ? -1 : 0, "data-index": index, "aria-label": spoken(token) }, token.text);
    }));
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
    const index = event.target.closest?.(".t")?.dataset.index;
    if (index === undefined) return;
    this.onpoint?.(Number(index));
    if (event.pointerType === "mouse" && this.tokens[index].alts) this.alternatives.open(this.tokens[index], this.span(index), { glance: true });
  }

  /** What is selected with the pointer, by tokens. */
  marked() {
    const selection = getSelection();
    if (!this.onmark || selection.isCollapsed || !this.element.contains(selection.anchorNode)) return;
    const inside = [...this.element.children].flatMap((span, index) => (selection.containsNode(span, true) ? [index] : []));
    if (inside.length) this.onmark(inside[0], inside.at(-1) + 1);
  }

  click(event) {
    const span = event.target.closest(".t");
    if (!span || getSelection().toString()) return;
    this.focus(Number(span.dataset.index));
    this.open(this.current);
  }

  key(event) {
    if (!event.target.classList.contains("t")) return;
    const moves = {
      ArrowRight: () => this.current + 1, ArrowLeft: () => this.current - 1, ArrowDown: () => this.lineAway(1), ArrowUp: () => this.lineAway(-1),
      Home: () => 0, End: () => this.tokens.length - 1,
    };
    if (event.key in moves) {
      event.preventDefault();
      this.alternatives.close();
      if (!event.shiftKey || !this.onmark) this.anchor = null;
      else this.anchor ??= this.current;
      this.focus(moves[event.key]());
      this.onpoint?.(this.current);
      if (this.anchor !== null) this.onmark(Math.min(this.anchor, this.current), Math.max(this.anchor, this.current) + 1);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.current);
    } else if (event.key === "Tab") this.alternatives.close();
  }

  /** The token above or below the current one. */
  lineAway(step) {
    const here = this.span(this.current).getBoundingClientRect();
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
    const token = this.tokens[index];
    if (!token) return;
    this.current = index;
    this.onpoint?.(index);
    this.alternatives.open(token, this.span(index));
  }
}

function spoken({ shown, text, logprob }) {
  const name = visible(shown ?? text);
  return logprob === null || logprob === undefined ? name : `${name} ${percent(Math.exp(logprob))}`;
}
