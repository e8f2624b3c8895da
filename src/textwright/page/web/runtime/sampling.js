// Samples the next token: the steps of `generation/sampling.py` in the same order, in float64.

import { Philox } from "./philox.js";

/** Log-softmax of the logits: the distribution before sampling settings, natural logarithms, (V,). */
export function logProbabilities(logits) {
  let most = -Infinity;
  for (const value of logits) if (value > most) most = value;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - most);
  const shift = most + Math.log(sum);
  return Float64Array.from(logits, (value) => value - shift);
}

/** The ids of the `count` likeliest tokens, in order; ties by the lower id. */
export function ranked(scores, count) {
  const ids = Array.from(scores.keys());
  return ids.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, count);
}

/** Samples the tokens of one text. */
export class Sampler {
  /**
   * settings: temperature, topK, topP, minP, repetitionPenalty.
   * suppressed: ids that are never sampled. read: ids of the text so far.
   */
  constructor(settings, seed, suppressed, read) {
    this.settings = settings;
    this.suppressed = suppressed;
    this.read = new Set(read);
    this.random = new Philox(seed);
  }

  /** Samples the next token's id; doesn't modify `logits`. */
  draw(logits) {
    const scores = Float64Array.from(logits);
    this.penalise(scores);
    for (const id of this.suppressed) scores[id] = -Infinity;
    const token = this.settings.temperature === 0 ? likeliest(scores) : this.pick(scores);
    if (token < 0) throw new Error("the model's logits are not finite numbers");
    this.read.add(token);
    return token;
  }

  penalise(scores) {
    const penalty = this.settings.repetitionPenalty;
    if (penalty === 1) return;
    for (const id of this.read) scores[id] *= scores[id] > 0 ? 1 / penalty : penalty;
  }

  pick(scores) {
    const { temperature, topK, topP, minP } = this.settings;
    const most = scores[likeliest(scores)];
    for (let id = 0; id < scores.length; id++) scores[id] = (scores[id] - most) / temperature;
    let ids = Array.from(scores.keys());
    if (topK > 0 && topK < scores.length) ids = ranked(scores, topK).sort((a, b) => a - b);
    const weights = Float64Array.from(scores, Math.exp);
    if (topP < 1) ids = nucleus(ids, weights, topP);
    if (minP > 0) ids = ids.filter((id) => weights[id] >= minP);
    const reached = [];
    let total = 0;
    for (const id of ids) reached.push((total += weights[id]));
    if (!(total > 0 && total < Infinity)) return -1;
    const place = this.random.uniform() * total;
    // the product may round up to the total: then it is the first token that reaches that
    const index = reached.findIndex((value) => value > place);
    return ids[index < 0 ? reached.indexOf(total) : index];
  }
}

function likeliest(scores) {
  let best = -1;
  for (let id = 0; id < scores.length; id++) {
    if (Number.isNaN(scores[id])) return -1;
    if (best < 0 || scores[id] > scores[best]) best = id;
  }
  return Number.isFinite(scores[best]) ? best : -1;
}

function nucleus(ids, weights, topP) {
  const order = [...ids].sort((a, b) => weights[b] - weights[a] || a - b);
  const total = order.reduce((sum, id) => sum + weights[id], 0);
  const kept = [];
  let sum = 0;
  for (const id of order) {
    kept.push(id);
    if ((sum += weights[id]) >= topP * total) break;
  }
  return kept.sort((a, b) => a - b);
}
