// What stands above a file that somebody made for others: its title, who made it, a sentence.

import { el } from "./dom.js";
import { t } from "../words.js";

export function titlepage({ title, author, sentence }) {
  return el("section", { class: "titlepage", "aria-label": t("About this file") },
    title && el("p", { class: "called", dir: "auto" }, title),
    author && el("p", { dir: "auto" }, t("by {author}", { author })),
    sentence && el("p", { class: "sentence", dir: "auto" }, sentence));
}
