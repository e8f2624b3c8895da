// What stands in the header: the mark, light and dark, the stage.

import { el, fill, icon, kept, svg } from "./dom.js";
import { t } from "../words.js";

export function mark() {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "mark", "aria-hidden": "true" },
    svg("path", { class: "ink", d: "M12 7v11" }), svg("path", { class: "gold", d: "M5 7h14" }), svg("path", { class: "rose", d: "M8.500 18h7" }),
  );
}

/** Switches the theme, which follows the system's until it is used. */
export function themeSwitch() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const chosen = kept.get("theme");
  if (chosen) root.dataset.theme = chosen;
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const button = el("button", { class: "theme", type: "button", onclick: () => {
    root.dataset.theme = dark() ? "light" : "dark";
    kept.set("theme", root.dataset.theme);
    changed();
  } });
  const show = () => {
    fill(button, icon(dark() ? "sun" : "moon"));
    button.setAttribute("aria-label", dark() ? t("Light colours") : t("Dark colours"));
    button.title = button.getAttribute("aria-label");
  };
  const changed = () => {
    show();
    document.dispatchEvent(new Event("theme")); // canvases are redrawn in its colours
  };
  system.addEventListener("change", changed);
  show();
  return button;
}

/** On stage: large type, strong colours, no controls; Escape ends it. With `address()`, where others find the page too. */
export function stageSwitch(address = null) {
  const root = document.documentElement;
  const code = el("figure", { class: "qr", hidden: true });
  const turn = (on) => {
    root.toggleAttribute("data-stage", on);
    button.setAttribute("aria-pressed", String(on));
    if (on && address) address().then((told) => show(told), () => {});
  };
  const show = ({ url, rows }) => {
    code.hidden = !url;
    if (!url) return;
    const dark = rows.flatMap((row, y) => [...row.matchAll(/1+/g)].map(({ 0: run, index }) => `M${index} ${y}h${run.length}v1h-${run.length}z`));
    fill(code, dark.length > 0 && svg("svg", { viewBox: `0 0 ${rows.length} ${rows.length}`, role: "img", "aria-label": t("A QR code of this page's address"), "shape-rendering": "crispEdges" }, svg("path", { d: dark.join("") })), el("figcaption", {}, url));
  };
  const button = el("button", { class: "theme", type: "button", "aria-pressed": "false", "aria-label": t("On stage"), title: t("On stage: large, without controls; Escape ends it"), onclick: () => turn(!root.hasAttribute("data-stage")) }, icon("stage"));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.hasAttribute("data-stage")) turn(false);
  });
  if (address) document.body.append(el("aside", { "aria-label": t("Where others find this page") }, code));
  return button;
}
