// The texts that this browser keeps: open, name, star, delete, save, load.

import { el, fill, icon } from "./dom.js";
import { save } from "./saving.js";
import { titleOf, toFile } from "../state/texts.js";
import { t } from "../words.js";

export class Shelf {
  /** library; onopen(text), onnew(), say(error). */
  constructor({ library, onopen, onnew, say }) {
    Object.assign(this, { library, onopen, say });
    this.list = el("ul", { class: "texts" });
    this.note = el("p", { class: "hint", role: "status" });
    this.input = el("input", { type: "file", accept: ".json,application/json", hidden: true, onchange: () => this.load() });
    this.back = el("button", { type: "button", class: "small", hidden: true, onclick: () => library.restore() }, t("Bring it back"));
    this.element = el("section", { class: "shelf", "aria-label": t("Your texts") },
      el("h2", {}, t("Your texts")), el("div", { class: "actions" },
        el("button", { type: "button", class: "small", onclick: onnew }, t("New text")),
        el("button", { type: "button", class: "quiet small", onclick: () => this.input.click() }, t("Load a file")), this.input, this.back),
      this.list, this.note);
  }

  show({ texts, text, keeps, unkept, gone }) {
    const shown = [...texts].sort((a, b) => Number(b.star) - Number(a.star) || b.changed - a.changed);
    const key = JSON.stringify([shown.map((one) => [one.id, titleOf(one), one.star, one.model]), text?.id, gone?.id]);
    this.note.textContent = !keeps ? t("This browser keeps nothing here: save what you want to keep.")
      : unkept ? t("There is no room left in this browser: save the text as a file.")
      : texts.length ? t("Kept in this browser until you delete them.") : t("What you write is kept in this browser until you delete it.");
    this.back.hidden = !gone;
    if (key === this.drawn || this.list.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
    this.drawn = key;
    fill(this.list, shown.map((one) => this.item(one, one.id === text?.id)));
  }

  item(text, here) {
    const act = (name, label, onclick, pressed) => el("button", { type: "button", class: "quiet icon-only", "aria-label": label, title: label, "aria-pressed": pressed, onclick }, icon(name));
    const row = el("li", { class: here ? "here" : "" },
      el("button", { type: "button", class: "node", "aria-current": here ? "true" : null, dir: "auto", onclick: () => this.onopen(text) },
        el("span", { class: "line" }, titleOf(text)), el("span", { class: "small" }, text.model)),
      act(text.star ? "starred" : "star", t("Star"), () => this.library.describe(text.id, { star: !text.star }), String(text.star)),
      act("name", t("Name"), () => this.rename(row, text)),
      act("file", t("Save as a file"), () => save(new Blob([toFile(this.library.text?.id === text.id ? this.library.text : text)], { type: "application/json" }), `${fileName(titleOf(text))}.json`)),
      act("delete", t("Delete"), () => this.library.remove(text.id)));
    return row;
  }

  rename(row, text) {
    const done = (keep) => {
      this.drawn = null;
      input.onblur = null;
      input.remove();
      if (keep) this.library.describe(text.id, { name: input.value.trim().slice(0, 200) });
      else row.firstChild.hidden = false;
    };
    const input = el("input", { type: "text", value: text.name, "aria-label": t("Name"), placeholder: titleOf(text), onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") done(false);
    } });
    row.firstChild.hidden = true;
    row.prepend(input);
    input.focus();
    input.onblur = () => done(true);
  }

  async load() {
    const [file] = this.input.files;
    this.input.value = "";
    if (!file) return;
    try {
      await this.library.load(file);
    } catch (error) {
      this.say(error);
    }
  }
}

export const fileName = (title) => title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "text";
