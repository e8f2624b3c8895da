// Creates elements. Text from users, models and files is never parsed as markup.

import { decimal } from "../words.js";

/**
 * An element with properties and children.
 *
 * `class`, `aria-*`, `role`, `for` and `data-*` become attributes, `on…` listeners, others
 * properties. Children are nodes or text; null, false and undefined are skipped.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (/^(class|role|for|aria-.*|data-.*)$/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  write: "M4 20h16M6 16l9.5-9.5a2.1 2.1 0 0 1 3 3L9 19l-4 1z",
  chat: "M4 5h16v11H10l-4 4v-4H4zM8 9h8M8 12h5",
  train: "M4 20V4M4 20h16M7 8c3 6 6 8 12 8.5",
  watch: "M12 4a8 8 0 1 1-8 8M12 8v4l3 2M4 5v4h4",
  look: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 21 21M8 10.5h1.5l1-2.5 1.5 5 1-2.5h1",
  copied: "M8 8h12v12H8zM16 8V4H4v12h4",
  guess: "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.3M12 18v.1M4 4h16v16H4z",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  stage: "M3 5h18v11H3zM9 20h6M12 16v4",
  star: "M12 4l2.400 5 5.600.800-4 3.900 1 5.500-5-2.700-5 2.700 1-5.500-4-3.900 5.600-.800z",
  starred: "M12 4l2.400 5 5.600.800-4 3.900 1 5.500-5-2.700-5 2.700 1-5.500-4-3.900 5.600-.800z",
  name: "M4 20l1-4L16 5l3 3L8 19z",
  file: "M12 4v11M7 11l5 5 5-5M5 20h14",
  delete: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  moon: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
};

export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name], ...(name === "starred" ? { fill: "currentColor" } : {}) }),
  );
}

/** Replaces an element's children. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
  return element;
}

/** The user's settings, in local storage; a page from a file may have none. */
export const kept = {
  get(name, otherwise = null) {
    try {
      return localStorage.getItem(`textwright.${name}`) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`textwright.${name}`, value);
    } catch {
      // no storage: it is lost with the page
    }
  },
};

export const percent = (probability) =>
  probability >= 0.9995 ? "100 %"
  : probability >= 0.1 ? `${decimal(100 * probability, 0)} %`
  : probability >= 0.001 ? `${decimal(100 * probability, 1)} %`
  : `< ${decimal(0.1, 1)} %`;

/** A token's text with white space made visible. */
export function visible(text) {
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣") || "∅";
}

/** Seconds as a readable duration. */
export function clock(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}

export const number = (term, value) => el("div", {}, el("dt", {}, term), el("dd", {}, value));
