// What trainings of this tab learn, laid over each other: bits a character by the share of the plan, and
// where a knob was moved.

import { el, svg } from "./dom.js";
import { amount, decimal, many, t } from "../words.js";

const HEIGHT = 190;
const LEFT = 30;
const BELOW = 20;
const TOP = 14;

/** trainings: as `Lesson.told` tells them; names are said where there are two. */
export function traces(trainings) {
  const width = trainings.length > 1 ? 640 : 320;
  const lines = trainings.map(({ name, losses, metrics, steps, marks }) => ({
    name, marks: marks.filter(({ step, what }, place) => !marks.slice(place + 1).some((later) => later.step === step && later.what === what)).map((mark) => ({ ...mark, share: mark.step / steps })),
    train: losses.map(([step, loss]) => [step / steps, loss / Math.LN2]),
    val: metrics.map((row) => [row.step / steps, row.val_bits_per_char]).filter(([, bits]) => Number.isFinite(bits)),
  }));
  const values = lines.flatMap(({ train, val }) => [...train, ...val].map(([, bits]) => bits));
  const most = Math.max(...values, 1);
  const least = Math.min(...values, most - 0.5);
  const x = (share) => LEFT + share * (width - LEFT - 8);
  const y = (bits) => TOP + ((most - bits) / (most - least)) * (HEIGHT - BELOW - TOP - 6);
  const text = (place, height, words, anchor) => svg("text", { x: place, y: height, "text-anchor": anchor }, words);
  const line = (points, kind) => svg("polyline", { class: kind.join(" "), points: points.map(([share, bits]) => `${x(share).toFixed(1)},${y(bits).toFixed(1)}`).join(" ") });
  const drawn = lines.flatMap(({ train, val, marks }, number) => [
    ...marks.flatMap(({ share, what, value }) => [
      svg("path", { class: "marked", d: `M${x(share)} ${TOP}V${HEIGHT - BELOW}` }),
      text(x(share) + 2, TOP - 3, what === "rate" ? `×${amount(value)}` : `T ${amount(value)}`, share > 0.85 ? "end" : "start"),
    ]),
    line(train, ["train", `one-${number}`]), line(val, ["val", `one-${number}`]),
    ...val.map(([share, bits]) => svg("circle", { class: `val one-${number}`, cx: x(share), cy: y(bits), r: 2.5 })),
  ]);
  const [first] = trainings;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": t("Bits a character, from {most} down to {least}", { most: decimal(most, 2), least: decimal(least, 2) }) },
    text(LEFT - 5, y(most) + 4, decimal(most, 1), "end"), text(LEFT - 5, y(least) + 4, decimal(least, 1), "end"), text(LEFT, HEIGHT - 5, "0", "start"),
    text(width - 6, HEIGHT - 5, trainings.length > 1 ? t("the whole plan") : many(first.steps, "{count} step", "{count} steps"), "end"),
    svg("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BELOW}H${width - 4}` }), ...drawn);
  const key = trainings.length > 1 ? lines.map(({ name }, number) => el("span", {}, el("i", { class: `one-${number}` }), name))
    : [["train", t("on what it learns from")], ["val", t("on text kept apart")]].map(([kind, words]) => el("span", {}, el("i", { class: `${kind} one-0` }), words));
  return [picture, el("p", { class: "key small" }, key)];
}
