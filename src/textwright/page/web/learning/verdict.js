// How a training went, in plain words; the thresholds and the words of `reporting/verdict.py`.

import { grouped, t } from "../words.js";
import { RECIPES } from "./recipes.js";

const { gain: GAIN, level_spread: SPREAD, rise: RISE, diverged: DIVERGED, late_share: LATE, min_steps: FEWEST_STEPS, min_evaluations: FEWEST_EVALUATIONS } = RECIPES.verdict;

/** The verdict on rows of metrics.jsonl. status: how it ended; steps: planned; done: how many were; loss: of the whole text, or null. */
export function verdict(metrics, { status, steps, done = metrics.at(-1)?.step ?? 0, loss = null }) {
  const rows = metrics.filter((row) => Number.isFinite(row.val_loss));
  const losses = rows.map((row) => row.val_loss);
  const best = losses.indexOf(Math.min(...losses));
  const last = losses.at(-1);
  const step = (place) => grouped(rows[place].step);
  if (status === "diverged" || climbed(rows, last, losses[best])) {
    return best > 0 ? t("diverged after step {step}; kept that one", { step: step(best) }) : t("diverged from the start");
  }
  if (status === "interrupted") return t("interrupted at step {step} of {steps}", { step: grouped(done), steps: grouped(steps) });
  if (rows.filter((row) => row.step > 0).length < FEWEST_EVALUATIONS) return t("too few evaluations to tell");
  const early = status === "stopped early";
  const { train_loss: atBest } = rows[best];
  const { train_loss: atEnd } = rows.at(-1);
  if (last > losses[best] * (1 + RISE) && (atBest === null || atEnd === null || atEnd < atBest)) {
    if (early) return t("began to overfit at step {step}; stopped early and kept that one", { step: step(best) });
    return t("began to overfit at step {step}; kept that one", { step: step(best) });
  }
  const told = { loss: (loss ?? losses[best]).toFixed(4), step: step(best) };
  if (early) return t("levelled off at a validation loss of {loss}; stopped early and kept step {step}", told);
  const since = (share) => {
    const before = Math.min(...losses.filter((_, place) => rows[place].step <= rows.at(-1).step * share));
    return before > 0 && Number.isFinite(before) ? (before - losses[best]) / before : 0;
  };
  if (since(1 - LATE) > GAIN) return t("still improving when it ended: give it more time");
  if (done < FEWEST_STEPS) return t("too short to tell: give it more time");
  if (since(0.5) > SPREAD) return t("still falling in its second half: give it more time");
  return t("levelled off at a validation loss of {loss}", told);
}

/** Whether the loss on the training text itself rose, and that on the other text with it. */
function climbed(rows, last, best) {
  const training = rows.map((row) => row.train_loss).filter(Number.isFinite);
  return training.length > 1 && training.at(-1) > Math.min(...training) * (1 + DIVERGED) && last > best * (1 + RISE);
}
