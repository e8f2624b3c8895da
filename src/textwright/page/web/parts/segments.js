// A segmented control: one choice out of a few, side by side.

import { el } from "./dom.js";

/** options: [id, text]; onpick(id). `.pick(id)` selects without calling `onpick`. */
export function segments(label, options, onpick) {
  const buttons = options.map(([id, text]) =>
    el("button", { type: "button", role: "radio", "data-id": id, onclick: () => { element.pick(id); onpick(id); } }, text),
  );
  const element = el("div", { class: "segments", role: "radiogroup", "aria-label": label, onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = buttons.filter((button) => !button.hidden);
    const next = shown[(shown.indexOf(document.activeElement) + step + shown.length) % shown.length];
    next.focus();
    next.click();
  } }, buttons);
  element.pick = (id) => {
    for (const button of buttons) {
      const on = button.dataset.id === id;
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  };
  element.offer = (ids) => {
    for (const button of buttons) button.hidden = !ids.includes(button.dataset.id);
  };
  element.pick(options[0][0]);
  return element;
}
