// The last look at a model: one that reads more than those before it.

import { Learner } from "./learner.js";
import { finalTokens } from "./plan.js";

/**
 * {loss, tokens} of the best weights of a `TabTraining`, on all of the validation text, tokens 0, or on
 * as many as their share of its minutes holds at the pace of its looks; null where each look read that,
 * and where a pause or a stop cuts it short.
 */
export async function finalLook(training) {
  const { kept, settings, data, show, state, tools } = training;
  const { eval_tokens: limit, minutes } = settings.plan;
  const all = data.validation.length - 1;
  const tokens = finalTokens(60 * minutes, all, training.perToken);
  if (!limit || (tokens || all) <= limit) return null;
  const { signal } = (training.measuring = new AbortController());
  show.measuring();
  if (state.best_step !== state.step) {
    training.learner.close();
    const recipe = { model: kept.config, training: settings.training, course: training.course };
    training.learner = await Learner.open({ recipe, tokens: data.train, weights: training.best, ...tools });
  }
  try {
    const { loss } = await training.learner.evaluate(data.validation, { limit: tokens, signal });
    return { loss, tokens };
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}
