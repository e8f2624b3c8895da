// What the colours mean, with numbers.

import { el } from "./dom.js";
import { help } from "./help.js";
import { t } from "../words.js";

const SHARES = ["100", "60", "40", "20", "10", "3", "1", "0.1"];

export function legend() {
  return el("span", { class: "legend" },
    el("span", { class: "ramp", role: "img", "aria-label": t("Colours: from what the model expected to what surprised it") },
      SHARES.map((share, step) => el("i", { class: `s${step}` }, el("small", {}, share)))),
    el("span", {}, t("% likely")), help("bits"));
}
