// How the model writes: length, temperature, and what else the die may be told.

import { el } from "./dom.js";
import { field, numberField, sliderField } from "./fields.js";
import { help } from "./help.js";
import { t, units } from "../words.js";

export const USUAL = { length: 200, temperature: 0.7, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stop: [], seed: null };

export class Settings {
  /** onchange(settings): all of them are valid; say(error): one isn't. */
  constructor({ onchange, say }) {
        this.fields = {
      length: numberField(t("Length"), { value: USUAL.length, min: 1, max: 100_000, step: 1, empty: USUAL.length, hint: " " }),
      temperature: sliderField(t("Temperature"), { value: USUAL.temperature, min: 0, max: 2, step: 0.05 }),
      topK: numberField(t("Top-k"), { min: 0, step: 1, empty: 0, hint: t("empty: all") }),
      topP: numberField(t("Top-p"), { value: 1, min: 0.01, max: 1, empty: 1 }),
      minP: numberField(t("Min-p"), { value: 0, min: 0, max: 1, empty: 0 }),
      repetitionPenalty: numberField(t("Repetition penalty"), { value: 1, min: 0.1, max: 10, empty: 1 }),
      stop: stopField(),
      seed: numberField(t("Seed"), { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, empty: null, hint: t("empty: a new one") }),
    };
    const { length, temperature, ...more } = this.fields;
    temperature.querySelector("label").append(help("temperature"));
    this.more = el("details", { class: "more" }, el("summary", {}, t("More")), el("p", {}, help("topk")), el("div", { class: "controls" }, Object.values(more)));
    this.first = [length, temperature];
    for (const each of Object.values(this.fields)) {
      each.addEventListener("input", () => {
        try {
          say("");
          onchange(this.read());
        } catch (error) {
          say(error);
        }
      });
    }
  }

  read() {
    return Object.fromEntries(Object.entries(this.fields).map(([name, one]) => [name, one.read()]));
  }

  set(settings) {
    for (const [name, one] of Object.entries(this.fields)) {
      if (name === "temperature") one.set(settings[name]);
      else if (name === "stop") one.querySelector("input").value = (settings.stop[0] ?? "").replaceAll("\n", "\\n");
      else one.input.value = settings[name] === null || (name === "topK" && !settings.topK) ? "" : settings[name];
    }
  }

  modelChanged(model) {
    this.fields.length.querySelector("small").textContent = units(model);
  }
}

function stopField() {
  const stop = field(t("Stop at"), el("input", { type: "text", autocomplete: "off" }), t("text that ends it"));
  stop.read = () => {
    const text = stop.querySelector("input").value.replaceAll("\\n", "\n");
    return text ? [text] : [];
  };
  return stop;
}
