// Which neurons correlate with visible features of the text.

import { later } from "../words.js";

const FEWEST = 8; // tokens with and without a feature, at least, for a meaningful correlation

/** The features; each is a function to a number per token. */
const FEATURES = [
  { id: "quotes", title: later("Inside quotes"), of: insideQuotes },
  { id: "line", title: later("Length of the line"), of: lineLength },
  { id: "case", title: later("Capital letters"), of: (texts) => texts.map((text) => Number(/\p{Lu}/u.test(text))) },
  { id: "word", title: later("Place in the word"), of: placeInWord },
  { id: "space", title: later("Between words"), of: (texts) => texts.map((text) => Number(/^\s+$/u.test(text))) },
];

/**
 * The neuron with the highest correlation for each feature.
 *
 * layers[layer][token]: a vector of units. Returns {feature, layer, unit, r}; r is null where the
 * passage has too few tokens with the feature.
 */
export function followers(texts, layers) {
  return FEATURES.map((feature) => {
    const values = feature.of(texts);
    const best = { feature, layer: 0, unit: 0, r: null };
    if (!varies(values)) return best;
    layers.forEach((vectors, layer) => {
      for (let unit = 0; unit < vectors[0].length; unit++) {
        const r = correlation(values, vectors.map((vector) => vector[unit]));
        if (Number.isFinite(r) && Math.abs(r) > Math.abs(best.r ?? 0)) Object.assign(best, { layer, unit, r });
      }
    });
    return best;
  });
}

/** The `count` neurons, {layer, unit, r}, that correlate best with a number per token, up or down. */
export function best(values, layers, count) {
  const found = layers.flatMap((vectors, layer) => Array.from(vectors[0], (_, unit) => ({ layer, unit, r: correlation(values, vectors.map((vector) => vector[unit])) })));
  return found.filter(({ r }) => Number.isFinite(r)).sort((a, b) => Math.abs(b.r) - Math.abs(a.r)).slice(0, count);
}

/** Pearson's correlation coefficient. */
export function correlation(x, y) {
  const n = x.length;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / n;
  const [mx, my] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) ** 2;
    yy += (y[i] - my) ** 2;
  }
  return xy / Math.sqrt(xx * yy);
}

function varies(values) {
  const most = Math.max(...values);
  const high = values.filter((value) => value > most / 2).length;
  return most > 0 && high >= FEWEST && values.length - high >= FEWEST;
}

/** 1 from an opening to a closing quote; a blank line closes an open quotation. */
function insideQuotes(texts) {
  let inside = 0;
  let before = "";
  return texts.map((text) => {
    for (const character of text) {
      if (character === '"') inside = 1 - inside;
      else if ("“„«".includes(character)) inside = 1;
      else if ("”»".includes(character)) inside = 0;
      else if (character === "\n" && before === "\n") inside = 0;
      before = character;
    }
    return inside;
  });
}

function lineLength(texts) {
  let length = 0;
  return texts.map((text) => {
    const end = text.lastIndexOf("\n");
    length = end < 0 ? length + text.length : text.length - end - 1;
    return length;
  });
}

function placeInWord(texts) {
  let place = 0;
  return texts.map((text) => {
    const letters = /[\p{L}\p{N}'’]*$/u.exec(text)[0].length;
    place = letters === text.length ? place + letters : letters;
    return place;
  });
}
