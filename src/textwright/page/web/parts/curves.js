// The training and validation loss over the steps.

import { el, svg } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 170;
const LEFT = 34;
const BELOW = 20;

/** metrics: {step, train_loss, val_loss}, either loss may be null; `marked`: a step to mark. */
export function curves(metrics, marked) {
  const lines = [["train", "train_loss", "on what it learns from"], ["val", "val_loss", "on text kept apart"]].map(([id, key, title]) => ({
    id, title, points: metrics.filter((one) => Number.isFinite(one[key])).map((one) => [one.step, one[key]]),
  }));
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const most = Math.max(...values, 1e-9);
  const least = Math.min(...values, most);
  const last = Math.max(1, ...metrics.map(({ step }) => step));
  const x = (step) => LEFT + (step / last) * (WIDTH - LEFT - 6);
  const y = (value) => 8 + ((most - value) / Math.max(1e-9, most - least)) * (HEIGHT - BELOW - 16);
  const label = (place, height, text, anchor) => svg("text", { x: place, y: height, "text-anchor": anchor }, text);
  const picture = svg(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Losses from ${most.toFixed(2)} down to ${least.toFixed(2)} over ${last} steps` },
    label(LEFT - 6, y(most) + 4, most.toFixed(1), "end"), label(LEFT - 6, y(least) + 4, least.toFixed(1), "end"),
    label(LEFT, HEIGHT - 4, "0", "start"), label(WIDTH - 6, HEIGHT - 4, `${last} steps`, "end"),
    svg("path", { class: "axis", d: `M${LEFT} 4V${HEIGHT - BELOW}H${WIDTH - 4}` }),
    svg("path", { class: "marked", d: `M${x(marked)} 4V${HEIGHT - BELOW}` }),
    ...lines.map(({ id, points }) => svg("polyline", { class: id, points: points.map(([step, value]) => `${x(step)},${y(value)}`).join(" ") })),
  );
  const key = el("p", { class: "key small" }, lines.map(({ id, title }) => el("span", {}, el("i", { class: id }), title)));
  return [picture, key];
}
