// What to do first, for who comes for the first time.

import { el, icon, kept } from "./dom.js";
import { t } from "../words.js";

export function doors(page) {
  const close = () => {
    kept.set("welcomed", "1");
    element.hidden = true;
  };
  const door = (part, title, text) => el("a", { class: "door", href: `#${part}`, onclick: close }, icon(part), el("b", {}, title), el("span", {}, text));
  const element = el("section", { class: "doors", "aria-label": t("Where to begin"), hidden: Boolean(kept.get("welcomed")) },
    el("p", {}, t("A small language model is writing below, letter by letter; every colour says how much the letter surprised it."), " ",
      el("button", { type: "button", class: "quiet small", onclick: close }, t("Understood"))),
    el("div", { class: "three" },
      door("write", t("Write with one that is there"), t("Type into its text, choose what it should have written instead.")),
      page.has("train") && door("train", t("Train one on your own words"), t("Paste a text; minutes later it writes like that.")),
      door("look", t("Look inside"), t("What surprises it, what its neurons follow, where it looks."))));
  return element;
}
