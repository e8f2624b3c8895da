// A coloured passage to take away: as a picture (SVG) of what stands on the paper, and as HTML to paste.

import { shade } from "../state/tokens.js";

const MARGIN = 32;
const PAPER = "#fffefb";
const INK = "#23211d";
const QUIET = "#6a645a";
const SHADES = [null, "#fdf4d9", "#fbe8b5", "#f9d691", "#f6bd7e", "#f2a380", "#ea8d8e", "#dc82ad"];
const FONT = "Palatino, 'Palatino Linotype', Georgia, serif";

const safe = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** The tokens as HTML that needs nothing else. */
export function asHtml(tokens, { title, by }) {
  const spans = tokens.map((token) => {
    const colour = SHADES[shade(token.logprob)];
    return `<span${colour ? ` style="background:${colour}"` : ""}>${safe(token.text)}</span>`;
  });
  return `<figure dir="auto" style="margin:0;padding:2em;background:${PAPER};color:${INK};font:1.1em/1.7 ${FONT};white-space:pre-wrap">${spans.join("")}`
    + `<figcaption style="margin-top:1em;font-size:.8em;color:${QUIET}">${safe(title)} · ${safe(by)}</figcaption></figure>\n`;
}

/** What a paper's letters look like, each where it stands, as SVG. */
export function asPicture(letters, { by }) {
  const home = letters.getBoundingClientRect();
  const parts = [];
  let below = 0;
  for (const span of letters.querySelectorAll(".t")) {
    if (!span.firstChild) continue;
    for (const { words, box } of pieces(span.firstChild)) {
      const [x, y] = [box.left - home.left + MARGIN, box.top - home.top + MARGIN];
      const colour = SHADES[shade(span.token?.logprob)];
      if (colour) parts.push(`<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${box.width.toFixed(1)}" height="${box.height.toFixed(1)}" rx="2" fill="${colour}"/>`);
      parts.push(`<text x="${x.toFixed(1)}" y="${(y + box.height * 0.76).toFixed(1)}" textLength="${box.width.toFixed(1)}" lengthAdjust="spacingAndGlyphs" xml:space="preserve">${safe(words)}</text>`);
      below = Math.max(below, y + box.height);
    }
  }
  const size = parseFloat(getComputedStyle(letters).fontSize);
  const [width, height] = [Math.ceil(home.width + 2 * MARGIN), Math.ceil(below + MARGIN + 28)];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${FONT}" font-size="${size}" fill="${INK}">`
    + `<rect width="${width}" height="${height}" rx="16" fill="${PAPER}"/>${parts.join("")}<text x="${MARGIN}" y="${height - 18}" font-size="13" fill="${QUIET}">${safe(by)}</text></svg>\n`;
}

/** A token's text by the lines that it stands on. */
function pieces(node) {
  const text = node.data;
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter(({ width }) => width > 0);
  if (boxes.length <= 1) return boxes.map((box) => ({ words: text, box }));
  const found = [];
  for (let at = 0; at < text.length; at++) {
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    const box = range.getClientRects()[0];
    if (!box?.width) continue;
    const last = found.at(-1);
    if (last && Math.abs(last.box.top - box.top) < 2) found[found.length - 1] = { words: last.words + text[at], box: new DOMRect(last.box.left, last.box.top, box.right - last.box.left, last.box.height) };
    else found.push({ words: text[at], box });
  }
  return found;
}
