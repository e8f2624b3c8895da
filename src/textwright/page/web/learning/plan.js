// From a text, a family and minutes to a recipe in which nothing is left open, as `training/planning`:
// size, dropout by how often the text is read, steps by the speed of this machine, and when to look.

import { grouped, t } from "../words.js";
import { completed, parameterCount, streams } from "./config.js";
import { shardsOf } from "./parameters.js";
import { protocol } from "./protocol.js";
import { RECIPES } from "./recipes.js";

export const KEPT = 15; // seconds between two checkpoints at most: a tab is closed without a word

const MOST_LOOKING = 0.25; // share of the time that looks take, however short it is
const FINAL = 0.06; // the share of the time in which the last look reads more than the others

/** The sizes of a family that a tab trains, the smallest first. */
export const sizes = (family) => Object.keys(RECIPES.sizes[family] ?? {});

/**
 * The model and the settings of its training, but for steps and dropout: {size, config, training}.
 *
 * vocabSize; tokens: of the training text. parent: a model's config to begin with, or null;
 * rate: what its recipe's learning rates are multiplied by.
 */
export function optionOf({ family, size, vocabSize, tokens, seed, prompt = "", parent = null, rate = RECIPES.continued_rate }) {
  const own = parent ? nearestSize(parent) : size;
  const preset = RECIPES.sizes[parent?.family ?? family]?.[own];
  if (!preset) throw new Error(t("a tab trains no {size} {family}; it trains {sizes}", { family, size, sizes: [...sizes("lstm"), ...sizes("gpt")].join(", ") }));
  const model = parent ? { ...parent } : { ...preset.model };
  model.vocab_size = vocabSize;
  if (!parent && vocabSize > RECIPES.large_vocabulary) {
    model.tie_embeddings = true;
    if (streams(model)) model.embedding_size = model.hidden_size;
  }
  model.dropout = 0;
  const training = { ...RECIPES.training, ...preset.training, seed, sample_prompt: prompt, precision: "float32", compile: "off" };
  if (parent) {
    training.learning_rate *= rate;
    training.matrix_learning_rate *= rate;
  }
  fitToText(model, training, tokens, Boolean(parent));
  const config = completed(model);
  training.shards = shardsOf(config, training);
  checkLength(config, training, tokens);
  return { size: own, config, training };
}

/** That of a parent: the one nearest in parameters. */
function nearestSize(config) {
  const distance = (size) => {
    const model = completed({ ...RECIPES.sizes[config.family][size].model, vocab_size: config.vocab_size });
    return Math.abs(Math.log(parameterCount(model) / parameterCount(config)));
  };
  return sizes(config.family).reduce((best, size) => (distance(size) < distance(best) ? size : best));
}

/** Blocks, and a batch, that a short text can fill. */
function fitToText(model, training, tokens, fixed) {
  const fits = streams(model) ? training.batch_size * model.block_size : 2 * model.block_size;
  if (tokens >= fits) return;
  const fitting = Math.max(2, Math.floor(tokens / 4));
  // the engine's windows are multiples of 16
  if (!fixed) model.block_size = Math.min(model.block_size, streams(model) ? fitting : Math.max(16, fitting - (fitting % 16)));
  if (streams(model)) training.batch_size = Math.min(training.batch_size, Math.max(1, Math.floor(tokens / model.block_size)));
}

function checkLength(config, training, tokens) {
  const needed = streams(config) ? training.batch_size * config.block_size : 2 * config.block_size;
  if (tokens >= needed) return;
  throw new Error(t("the training text has {tokens} characters, fewer than the {needed} that this model needs at least; give it more text", { tokens: grouped(tokens), needed: grouped(needed) }));
}

/** The dropout for a text of so many tokens that is read `epochs` times. */
export function dropoutFor(config, tokens, epochs) {
  const rates = RECIPES.dropout_by_epochs.filter(([least]) => epochs >= least).map(([, rate]) => rate);
  const rate = Math.max(0, ...rates);
  const crowded = streams(config) && parameterCount(config) > RECIPES.crowded * tokens;
  return crowded && rate >= RECIPES.dropout_of_many_epochs ? RECIPES.dropout_where_crowded : rate;
}

/**
 * The whole recipe: {config, training, plan}, the last two as run.toml has them.
 *
 * option: of `optionOf`. tokens, validation: how many there are of both texts. Either minutes and
 * measured, {step, token, fixed}: seconds of a step, of reading one token, and of what an evaluation
 * costs beside reading; or steps, which are counted, so that the same ones give the same plan anywhere.
 */
export function planOf(option, { tokens, validation, minutes = null, steps = null, measured = null }) {
  const perStep = option.training.batch_size * option.config.block_size;
  const how = steps === null ? timed(minutes, validation, measured) : counted(steps, perStep, validation);
  return finished(option, { tokens, validation, minutes, perStep, measured, ...how });
}

/** Seconds of an evaluation that reads so many of a text's tokens; 0: all. */
const lookSeconds = ({ fixed, token }, read, validation) => fixed + token * (read || validation);

/** How many tokens the last look may read, 0: all. seconds: asked for, 0: as long as it takes; perToken: seconds. */
export function finalTokens(seconds, validation, perToken) {
  const most = Math.floor((FINAL * seconds) / perToken);
  return seconds && most < validation ? most : 0;
}

function timed(minutes, validation, measured) {
  const whole = lookSeconds(measured, 0, validation);
  let left = Math.max(1, 60 * minutes) * RECIPES.aim;
  const { evaluations: some, evalTokens } = evaluationsFor(left, validation, measured, whole);
  const look = lookSeconds(measured, evalTokens, validation);
  // fewer than tell a curve, where the time is too short for more
  const evaluations = Math.max(1, Math.min(some, Math.floor((MOST_LOOKING * left) / look) - 1));
  if (evalTokens) left -= Math.min(whole, 60 * minutes * FINAL);
  const looking = (evaluations + 1) * look;
  return { evaluations, evalTokens, steps: Math.max(1, Math.floor((left - looking) / measured.step)) };
}

function counted(steps, perStep, validation) {
  const every = Math.max(1, Math.ceil(steps / (RECIPES.most_evaluations / 2)));
  const looks = 1 + Math.ceil(steps / every);
  const most = Math.max(RECIPES.fewest_tokens, Math.floor((RECIPES.evaluation_share * RECIPES.learned_by_read * steps * perStep) / looks));
  return { steps, evaluations: RECIPES.most_evaluations / 2, evalTokens: most < validation ? most : 0 };
}

function finished(option, { tokens, validation, minutes, steps, perStep, measured, evaluations, evalTokens }) {
  const { training } = option;
  const epochs = (steps * perStep) / tokens;
  const config = { ...option.config, dropout: dropoutFor(option.config, tokens, epochs) };
  const evalEvery = Math.max(1, Math.ceil(steps / evaluations));
  const checkpointEvery = measured ? Math.max(1, Math.min(evalEvery, Math.round(KEPT / measured.step))) : evalEvery;
  const looks = 1 + Math.ceil(steps / evalEvery);
  const looking = measured && looks * lookSeconds(measured, evalTokens, validation) + (evalTokens && measured.token * (finalTokens(60 * minutes, validation, measured.token) || validation));
  const plan = {
    size: option.size, parameters: parameterCount(config), steps, tokens_per_step: perStep, epochs, eval_every: evalEvery,
    checkpoint_every: checkpointEvery, eval_tokens: evalTokens, protocol: protocol(config, validation, evalTokens),
    memory_bytes: memory(config, training), minutes,
    expected_seconds: measured && steps * measured.step + looking, tokens_per_second: measured && perStep / measured.step,
  };
  return { config, plan, training: { ...training, minutes, steps, eval_every: evalEvery, eval_tokens: evalTokens, checkpoint_every: checkpointEvery } };
}

/** How many evaluations fit into their share of the time, and the tokens each reads; 0: all. */
function evaluationsFor(seconds, validation, measured, whole) {
  const share = RECIPES.evaluation_share * seconds;
  const evaluations = Math.min(RECIPES.most_evaluations, Math.max(RECIPES.fewest_evaluations, Math.floor(share / whole) - 1));
  const most = share / (evaluations + 1);
  if (whole <= most || validation <= RECIPES.fewest_tokens) return { evaluations, evalTokens: 0 };
  const part = Math.max(0, most - measured.fixed) / Math.max(whole - measured.fixed, 1e-9);
  return { evaluations, evalTokens: Math.max(RECIPES.fewest_tokens, Math.floor(part * validation)) };
}

/** A rough estimate of the bytes that training takes, beside the text. */
function memory(config, training) {
  const parameters = parameterCount(config);
  const tokens = training.batch_size * config.block_size;
  const layer = Math.sqrt(parameters / config.num_layers);
  return Math.floor(4 * (4 * parameters + tokens * (12 * config.num_layers * layer + 3 * config.vocab_size)));
}
