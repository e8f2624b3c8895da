// What else was likely at a token: beside it, or from below on a phone.

import { el, percent, visible } from "./dom.js";
import { alternatives, writable } from "../state/tokens.js";
import { t } from "../words.js";

const SMALL = matchMedia("(max-width: 45rem), (pointer: coarse)");

/**
 * onchoose(other): another token was chosen; without it they are only shown. onmove(by): to the
 * token beside it. onclose(byKey).
 */
export class Alternatives {
  constructor({ onchoose = null, onmove = null, onfan = null, onclose = () => {} }) {
    Object.assign(this, { onchoose, onmove, onfan, onclose });
    this.element = null;
    this.outside = (event) => this.element && !this.element.contains(event.target) && !this.near?.contains(event.target) && this.close();
    addEventListener("hashchange", () => this.close());
    addEventListener("keydown", (event) => event.key === "Escape" && this.close(true), true);
    // Lines break anew where the width is another. A height is another whenever a phone shows its keyboard
    addEventListener("resize", () => innerWidth !== this.width && this.close());
  }

  get pinned() {
    return this.element !== null && !this.element.classList.contains("glance");
  }

  /** Shows those of a token, below a note; a glance goes away with the pointer and has no buttons. */
  open(token, span, { glance = false, note = null } = {}) {
    if (glance && this.pinned) return;
    this.close();
    const list = alternatives(token);
    if (!list.length || !span) return;
    const name = token.shown ?? token.text;
    if (!list.some(({ text }) => text === name)) list.push({ text: name, logprob: token.logprob });
    const most = Math.max(...list.map(({ logprob }) => logprob));
    const small = SMALL.matches && !glance;
    this.near = span;
    this.width = innerWidth;
    span.classList.add("open");
    const rows = list.slice(0, glance ? 6 : undefined).map((other) => this.row(other, most, other.text === name, glance));
    this.element = el("div", { class: `popover${glance ? " glance" : ""}${small ? " below" : ""}`, onkeydown: (event) => this.key(event) },
      !glance && this.onmove && el("div", { class: "steps" },
        el("button", { type: "button", class: "quiet", "aria-label": t("The one before"), onclick: () => this.onmove(-1) }, "‹"),
        el("b", {}, visible(name)), el("span", { class: "share" }, token.logprob == null ? "" : percent(Math.exp(token.logprob))),
        el("button", { type: "button", class: "quiet", "aria-label": t("The next one"), onclick: () => this.onmove(1) }, "›")),
      el("div", { class: "alternatives", role: this.onchoose && !glance ? "menu" : "list", "aria-label": t("What else the model thought likely here") }, rows),
      note && el("div", { class: "source-note" }, el("q", {}, note.text), el("span", { class: "small" }, note.where)),
      !glance && this.onfan && el("button", { type: "button", class: "quiet small", onclick: () => { this.close(); this.onfan(); } }, t("Five ways from here")));
    (document.querySelector("main") ?? document.body).append(this.element); // within the page's landmarks
    if (!small) place(this.element, span);
    if (!glance) {
      document.addEventListener("pointerdown", this.outside);
      if (this.onchoose && !SMALL.matches) (this.element.querySelector('[aria-current="true"]:not(:disabled)') ?? this.element.querySelector(".row:not(:disabled)"))?.focus({ preventScroll: true });
    }
  }

  row(other, most, here, glance) {
    const bar = el("span", { class: "bar" });
    bar.style.setProperty("--share", `${100 * Math.exp(other.logprob - most)}%`);
    const inside = [el("span", { class: "what" }, visible(other.text)), bar, el("span", { class: "share" }, percent(Math.exp(other.logprob)))];
    if (!this.onchoose || glance) return el("div", { class: "row", role: "listitem", "aria-current": here ? "true" : null }, inside);
    return el("button", {
      class: "row", type: "button", role: "menuitem", tabIndex: -1, "aria-current": here ? "true" : null, disabled: !writable(other.text),
      onclick: () => { this.close(); this.onchoose(other); },
    }, inside);
  }

  key(event) {
    if (!this.element) return;
    const items = [...this.element.querySelectorAll(".row:not(:disabled)")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      items[(items.indexOf(document.activeElement) + step + items.length) % items.length]?.focus();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      this.onmove?.(event.key === "ArrowRight" ? 1 : -1);
    } else if (event.key === "Tab") {
      event.preventDefault();
      this.close(true);
    }
  }

  close(byKey = false) {
    if (!this.element) return;
    const pinned = this.pinned;
    this.element.remove();
    this.element = null;
    this.near?.classList.remove("open");
    document.removeEventListener("pointerdown", this.outside);
    if (pinned) this.onclose(byKey);
  }
}

/** Below the token where there is room, else above, within the window. */
function place(element, span) {
  const box = span.getClientRects()[0] ?? span.getBoundingClientRect();
  const own = element.getBoundingClientRect();
  const left = Math.max(8, Math.min(document.documentElement.clientWidth - own.width - 8, box.left - 12));
  const below = box.bottom + own.height + 12 < innerHeight || box.top < own.height + 12;
  element.style.left = `${left + scrollX}px`;
  element.style.top = `${(below ? box.bottom + 6 : box.top - own.height - 6) + scrollY}px`;
}
