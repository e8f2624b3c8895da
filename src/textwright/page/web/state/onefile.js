// The page as one file, made by the page itself: the same script and styles, so that its policy holds,
// and another model inside.

import { base64, packTensors } from "../runtime/packing.js";

const MODEL = '<script type="application/json" id="model">null</script>';
const WEIGHTS = '<script type="text/plain" id="weights"></script>';
const EMPTY = { model: "null", weights: "" };

const safe = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** This page's file, without a model, from its document. */
export function ownFile() {
  const scripts = [...document.scripts].filter(({ id }) => id !== "keepsake"); // which goes with the model that was here
  const last = scripts.findIndex(({ id }) => !id); // behind it may stand what it has unpacked
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n',
    ...[...document.head.children].map((element) => (element.localName === "title" ? "<title>textwright</title>\n" : written(element))),
    "</head>\n<body>\n",
    ...[...document.querySelectorAll("noscript"), ...scripts.slice(0, last + 1)].map((element) => written(element, EMPTY[element.id])),
    "</body>\n</html>\n",
  ].join("");
}

/** An element that holds text or nothing. */
function written(element, content = element.textContent) {
  const attributes = Array.from(element.attributes, ({ name, value }) => ` ${name}="${safe(value)}"`).join("");
  const opened = `<${element.localName}${attributes}>`;
  return /^(meta|link)$/.test(element.localName) ? `${opened}\n` : `${opened}${content}</${element.localName}>\n`;
}

/** A file without a model, with this one inside: a Blob. */
export function fileWith(file, data, tensors) {
  const { index, bytes } = packTensors(tensors);
  const told = JSON.stringify({ ...data, dtype: "float16", tensors: index }).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  const changes = [
    [MODEL, MODEL.replace("null", () => told)],
    [WEIGHTS, WEIGHTS.replace("><", () => `>${base64(bytes)}<`)],
    ["<title>textwright</title>", `<title>${safe(data.name)} · textwright</title>`],
  ];
  for (const [before, after] of changes) {
    if (!file.includes(before)) throw new Error(before);
    file = file.replace(before, () => after);
  }
  return new Blob([file], { type: "text/html" });
}
