// What a training records of itself, as Python does: a line of metrics.jsonl, and how it ended.

import { inEnglish } from "../words.js";
import { protocol } from "./protocol.js";
import { rateFactor } from "./schedule.js";
import { verdict } from "./verdict.js";

/** An evaluation, `Evaluation` of `training/loop/callbacks.py`. */
export function metricsRow({ state, settings, kept, course, show, data }, loss, best) {
  const { plan, training, data: text } = settings;
  const tokens = state.step * plan.tokens_per_step;
  return {
    step: state.step,
    epoch: tokens / text.train_tokens,
    tokens,
    seconds: show.seconds,
    train_loss: state.loss_count ? state.loss_sum / state.loss_count : null,
    val_loss: loss,
    val_bits_per_char: bitsOf(data, loss),
    val_unknown: text.validation_unknown,
    lr: training.learning_rate * kept.factor * rateFactor(Math.max(0, state.step - 1), training, course),
    tokens_per_second: show.speed,
    best,
  };
}

/** Bits a character of the validation text, with what its ids don't tell. */
function bitsOf({ characters, validation, unknown, corpus }, loss) {
  const [, count] = corpus.characters;
  return ((validation.length * loss) / Math.LN2 + characters.hiddenBits(unknown, count)) / count;
}

/** `Result` of `training/loop/callbacks.py`; whole: {loss, tokens} as `finalLook` gives it, or null. */
export function resultOf({ state, settings, kept, metrics, show, data }, status, whole) {
  const { steps, eval_tokens: tokens, protocol: words } = settings.plan;
  const best = metrics.find((row) => row.step === state.best_step);
  return {
    status,
    steps: state.step,
    seconds: show.seconds,
    best_step: state.best_step,
    val_loss: whole?.loss ?? state.best_loss,
    val_bits_per_char: whole === null ? (best?.val_bits_per_char ?? null) : bitsOf(data, whole.loss),
    verdict: inEnglish(() => verdict(metrics, { status, steps, done: state.step, loss: whole?.loss ?? null })),
    eval_tokens: whole?.tokens ?? tokens,
    protocol: whole === null ? words : protocol(kept.config, data.validation.length, whole.tokens),
  };
}
