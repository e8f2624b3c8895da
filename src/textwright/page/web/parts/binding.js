// "Save as one file": the model, the page, and what somebody wants to hand on with them: a title, who
// made it, a sentence, texts with all their branches. These are put into the file here, and never sent.

import { el, kept } from "./dom.js";
import { field } from "./fields.js";
import { save } from "./saving.js";
import { chosen, titleOf } from "../state/texts.js";
import { t } from "../words.js";

const PLACE = '<script type="application/json" id="model">'; // before it the file has room

/** A button that asks what the file is to be called, and downloads it; name(): the model; say(error). */
export function exportButton({ api, library }, name, say) {
  const words = t("Save as one file");
  const button = el("button", { type: "button", class: "small export", title: t("The model and this page in one HTML file that works without a server"), onclick: () => {
    const model = name();
    ask(model, library.of(model), library.text, (keepsake) => pack(model, keepsake));
  } }, words);
  const pack = async (model, keepsake) => {
    say("");
    button.disabled = true;
    button.textContent = t("packing …");
    try {
      save(await bound(await api.exported(model), keepsake), `${model}.html`);
    } catch (error) {
      say(error);
    } finally {
      button.disabled = false;
      button.textContent = words;
    }
  };
  return button;
}

function ask(model, texts, open, done) {
  const input = (rest) => el("input", { type: "text", autocomplete: "off", maxLength: 200, ...rest });
  const own = texts.find(({ id }) => id === open?.id);
  const title = input({ value: own && !own.auto ? titleOf(own) : "" });
  const author = input({ value: kept.get("author", "") });
  const sentence = el("textarea", { rows: 2, maxLength: 1000 });
  const starred = chosen(texts);
  const boxes = texts.map((text) => ({ text, box: el("input", { type: "checkbox", checked: starred.includes(text) || (!starred.length && text === own) }) }));
  const dialog = el("dialog", { class: "key binding", "aria-label": t("Save as one file") },
    el("form", { method: "dialog", class: "desk", onsubmit: () => {
      kept.set("author", author.value.trim());
      done({ title: title.value.trim(), author: author.value.trim(), sentence: sentence.value.trim(), texts: boxes.filter(({ box }) => box.checked).map(({ text }) => ({ ...text, auto: false })) });
    } },
    el("h2", {}, t("Save {model} as one file", { model })),
    field(t("Title"), title), field(t("By whom"), author), field(t("A sentence about it"), sentence),
    boxes.length ? el("fieldset", { class: "takes" }, el("legend", {}, t("Takes along, with all branches")), boxes.map(({ text, box }) => el("label", {}, box, el("span", { dir: "auto" }, `${text.star ? "★ " : ""}${titleOf(text)}`)))) : null,
    el("div", { class: "actions" }, el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("Cancel")), el("button", { class: "primary", type: "submit" }, t("Save")))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** The file with a keepsake in it: what is said there is data, whatever it holds. */
async function bound(file, keepsake) {
  if (!keepsake.title && !keepsake.author && !keepsake.sentence && !keepsake.texts.length) return file;
  const page = await file.text();
  const data = JSON.stringify(keepsake).replaceAll("<", "\\u003c");
  const at = page.indexOf(PLACE);
  const title = keepsake.title.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const head = keepsake.title ? page.slice(0, at).replace(/<title>[^<]*/, () => `<title>${title}`) : page.slice(0, at);
  return new Blob([head, `<script type="application/json" id="keepsake">${data}</script>\n`, page.slice(at)], { type: "text/html" });
}
