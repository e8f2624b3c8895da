// The dialog for a server's API key.

import { el } from "./dom.js";
import { field } from "./fields.js";
import { t } from "../words.js";

/** A promise of the key that the user enters; `wrong`: the last one was refused. */
export function askKey(wrong) {
  return new Promise((resolve, reject) => {
    const input = el("input", { type: "password", autocomplete: "off", required: true });
    const dialog = el("dialog", { class: "key", "aria-label": t("API key") },
      el("form", { method: "dialog", class: "desk", onsubmit: () => { resolve(input.value.trim()); } },
        el("h2", {}, wrong ? t("That key was refused") : t("This server wants a key")),
        field(t("API key"), input, t("Kept in this tab until you close it.")),
        el("div", { class: "actions" }, el("button", { class: "primary", type: "submit" }, t("Go on")))));
    dialog.addEventListener("cancel", () => reject(new Error(t("Without its API key this server says nothing. Reload the page to give it."))));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}
