// Downloads a model and the page as one file.

import { el } from "./dom.js";

/** A button that downloads the model `name()`; say(error) is called with an error. */
export function exportButton(api, name, say) {
  const words = "Save as one file";
  const button = el("button", { type: "button", class: "small export", title: "The model and this page in one HTML file that works without a server", onclick: async () => {
    const model = name();
    say("");
    button.disabled = true;
    button.textContent = "packing …";
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

function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
