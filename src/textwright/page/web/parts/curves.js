// The training and validation loss over the steps, with a dot at one of them.

import { el, svg } from "./dom.js";
import { decimal, grouped, many, t } from "../words.js";

const WIDTH = 320;
const HEIGHT = 170;
const LEFT = 34;
const BELOW = 20;

/**
 * metrics: {step, train_loss, val_loss}, either loss may be null; `marked`: a step to mark; live: [step, loss]
 * of a training that is under way, in place of its means between evaluations.
 */
export function curves(metrics, marked, live = []) {
  const lines = [["train", "train_loss", t("on what it learns from")], ["val", "val_loss", t("on text kept apart")]].map(([id, key, title]) => ({
    id, title, points: id === "train" && live.length > 1 ? live : metrics.filter((one) => Number.isFinite(one[key])).map((one) => [one.step, one[key]]),
  })).filter(({ points }) => points.length);
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const most = Math.max(...values, 1e-9);
  const least = Math.min(...values, most);
  const last = Math.max(1, ...metrics.map(({ step }) => step), ...live.map(([step]) => step));
  const x = (step) => LEFT + (step / last) * (WIDTH - LEFT - 10);
  const y = (value) => 8 + ((most - value) / Math.max(1e-9, most - least)) * (HEIGHT - BELOW - 16);
  const label = (place, height, text, anchor) => svg("text", { x: place, y: height, "text-anchor": anchor }, text);
  const dots = lines.flatMap(({ id, points }) => points.filter(([step]) => step === marked).map(([step, value]) => svg("circle", { class: id, cx: x(step), cy: y(value), r: 4 })));
  const picture = svg(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("Losses from {most} down to {least} over {last} steps", { most: decimal(most, 2), least: decimal(least, 2), last: grouped(last) }) },
    label(LEFT - 6, y(most) + 4, decimal(most, 1), "end"), label(LEFT - 6, y(least) + 4, decimal(least, 1), "end"),
    label(LEFT, HEIGHT - 4, "0", "start"), label(WIDTH - 6, HEIGHT - 4, many(last, "{count} step", "{count} steps"), "end"),
    svg("path", { class: "axis", d: `M${LEFT} 4V${HEIGHT - BELOW}H${WIDTH - 4}` }),
    ...lines.map(({ id, points }) => svg("polyline", { class: id, points: points.map(([step, value]) => `${x(step)},${y(value)}`).join(" ") })),
    ...dots,
  );
  return [picture, el("p", { class: "key small" }, lines.map(({ id, title }) => el("span", {}, el("i", { class: id }), title)))];
}

/** A small curve of one run, for a list. */
export function spark(points) {
  const values = points.filter(Number.isFinite);
  if (values.length < 2) return el("span", { class: "spark" });
  const [most, least] = [Math.max(...values), Math.min(...values)];
  const line = values.map((value, index) => `${(index / (values.length - 1)) * 78 + 1},${2 + ((most - value) / Math.max(1e-9, most - least)) * 20}`).join(" ");
  return svg("svg", { viewBox: "0 0 80 24", class: "spark", "aria-hidden": "true" }, svg("polyline", { points: line }));
}
