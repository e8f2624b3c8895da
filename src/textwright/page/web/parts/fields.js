// Form fields: a label, a control, and `read()`, which validates.

import { el } from "./dom.js";
import { plain } from "./reasons.js";
import { amount, t } from "../words.js";

let made = 0;

/** A form without the browser's validation, whose bubble can't point into a closed section. */
export function form(properties, ...children) {
  return el("form", { noValidate: true, ...properties }, ...children);
}

/** A labelled control with `hint` below it. */
export function field(label, control, hint = "") {
  control.id ||= `field-${++made}`;
  const note = hint ? el("small", { id: `${control.id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, note);
}

/** A number; `.read()` returns it, or `empty` for an empty field, or throws an error. */
export function numberField(label, { value = "", min, max, step = "any", empty = null, hint = "", name = label }) {
  const input = el("input", { type: "number", inputMode: "decimal", min, max, step, value });
  const whole = field(label, input, hint);
  whole.input = input;
  whole.read = () => {
    const { badInput, rangeUnderflow, rangeOverflow, stepMismatch } = input.validity;
    if (badInput) throw new Error(t("{name} is not a number", { name }));
    if (rangeUnderflow) throw new Error(t("{name} must be at least {least}", { name, least: input.min }));
    if (rangeOverflow) throw new Error(t("{name} must be at most {most}", { name, most: input.max }));
    if (stepMismatch) throw new Error(t("{name} must be a whole number", { name }));
    return input.value === "" ? empty : Number(input.value);
  };
  return whole;
}

/** A slider with its value beside it. */
export function sliderField(label, { value, min, max, step, hint = "" }) {
  const output = el("output", {}, amount(value));
  const input = el("input", { type: "range", min, max, step, value });
  const show = () => {
    output.textContent = amount(input.value);
    input.style.setProperty("--at", `${(100 * (input.value - min)) / (max - min)}%`);
  };
  input.addEventListener("input", show);
  const whole = field(label, input, hint);
  whole.querySelector("label").append(" ", output);
  whole.input = input;
  whole.read = () => Number(input.value);
  whole.set = (number) => {
    input.value = number;
    show();
  };
  show();
  return whole;
}

/** A choice; options are [value, text, disabled?]. */
export function selectField(label, options, { value = null } = {}) {
  const input = el("select", {}, options.map(([id, text, disabled]) => el("option", { value: id, disabled: Boolean(disabled) }, text)));
  if (value !== null) input.value = value;
  const whole = field(label, input);
  whole.input = input;
  whole.read = () => input.value;
  return whole;
}

/** A live region for a view's errors (`say`) and messages (`tell`). */
export function notice() {
  const element = el("p", { class: "notice", role: "alert" });
  element.say = (error) => {
    element.textContent = plain(error instanceof Error ? error.message : (error ?? ""));
    element.classList.remove("calm");
  };
  element.tell = (text) => {
    element.textContent = text;
    element.classList.add("calm");
  };
  return element;
}
