// Downloads: anything as a file, and a model with the page as one.

import { el } from "./dom.js";
import { t } from "../words.js";

/** A button that downloads the model `name()`; say(error) is called with an error. */
export function exportButton(api, name, say) {
  const words = t("Save as one file");
  const button = el("button", { type: "button", class: "small export", title: t("The model and this page in one HTML file that works without a server"), onclick: async () => {
    const model = name();
    say("");
    button.disabled = true;
    button.textContent = t("packing …");
    try {
      save(await api.exported(model), `${model}.html`);
    } catch (error) {
      say(error);
    } finally {
      button.disabled = false;
      button.textContent = words;
    }
  } }, words);
  return button;
}

export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Puts a text on the clipboard, also where a page over plain HTTP has none; whether it did. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { value: text, readOnly: true, class: "offscreen" });
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}
