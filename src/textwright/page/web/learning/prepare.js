// What a training in a tab begins with: the text read, the speed of this machine measured, the plan made.

import { inEnglish, t } from "../words.js";
import { Characters } from "./characters.js";
import { settingsOf } from "./config.js";
import { corpusOf, decoded, prepared } from "./corpus.js";
import { Learner } from "./learner.js";
import { entropy, grown } from "./parents.js";
import { dropoutFor, optionOf, planOf } from "./plan.js";
import { RECIPES } from "./recipes.js";
import { TEXT, nameFrom } from "./runfolder.js";
import { sha256 } from "./sha256.js";
import { dataOf, written } from "./writing.js";

const MEASURED = 400; // milliseconds of steps
const READ = 2048; // tokens, to time an evaluation
const GUESS = 6000; // tokens a second, before anything is measured
const WRITTEN = 20; // tokens, to time the sample of an evaluation
const PAINTED = 20; // milliseconds in which a page draws what it is told
const BEGINNING = 1024; // tokens by which it is seen whether a parent has read the like

/**
 * The ids of a prepared text: {corpus: {text, characters, sha256}, characters, train, validation, unknown};
 * tokens: a parent's.
 */
export function tokenized(text, label, { fraction = 0.1, tokens = null, grows = true } = {}) {
  const { train, validation: held, ...corpus } = corpusOf(text, label, fraction);
  const known = tokens && new Characters(tokens);
  const characters = known ? (grows ? known.extended(train) : known) : Characters.of(train);
  const { ids: validation, unknown } = characters.encode(held);
  if (validation.length < 2) throw new Error(t("{label} ends with characters that it doesn't begin with; give a longer text", { label }));
  return { corpus, characters, train: characters.encode(train).ids, validation, unknown };
}

/**
 * {kept, data, weights, notes} of a new training: what `TabTraining` keeps, the ids, the weights that it
 * begins with or null, and lines that are worth saying. It takes fewer workers than there are where
 * that is faster.
 *
 * asked: {text or bytes, source, name, minutes or steps, family, size, seed, prompt, parent}.
 */
export async function prepareTraining(asked, tools, tell) {
  const pause = () => new Promise((resolve) => setTimeout(resolve, PAINTED));
  const { bytes = null, source = "", minutes = null, steps = null, seed = 1, parent = null } = asked;
  const label = source || t("the text");
  tell(t("reading the text"));
  await pause();
  const given = bytes ? decoded(bytes, label) : { text: asked.text, encoding: "utf-8", note: null };
  await pause();
  const text = prepared(given.text, label);
  await pause();
  const data = tokenized(text, label, { tokens: parent?.tokens });
  const notes = given.note ? [given.note()] : [];
  const weights = parent && grown(parent, data.characters, data.train, tools.tables, seed);
  const how = { ...asked, seed, parent: parent?.config ?? null, vocabSize: data.characters.size, tokens: data.train.length };
  let option = optionOf(how);
  if (data.train.length < RECIPES.short) notes.push(t("the text is short: the model will know it by heart before it knows its language; more text helps most"));
  if (parent && (await unlikeness(option, data, parent, weights, tools)) >= 1) {
    notes.push(t("{name} has read nothing like this text", { name: parent.name }));
    option = optionOf({ ...how, rate: 1 });
  }
  if (steps === null) tell(t("measuring this machine"));
  const name = nameFrom(asked.name || source || "text");
  const measured = steps === null ? await measureBest(option, data, weights, { minutes, name, parent: parent?.name ?? null }, tools) : null;
  const made = planOf(option, { tokens: data.train.length, validation: data.validation.length, minutes, steps, measured });
  const original = bytes ?? new TextEncoder().encode(given.text);
  const settings = settingsToml({ ...made, name, data, parent, tools, original, given, source });
  const kept = {
    name, settings, config: made.config, tokens: data.characters.tokens, text: data.corpus.text, metrics: [], samples: [],
    marks: [], losses: [], factor: 1, temperature: RECIPES.sampling.temperature, weights: null, before: null, checkpoint: null,
    workers: measured?.workers ?? null,
  };
  return { kept, data, weights: measured?.weights ?? weights, notes };
}

function opened(config, training, course, data, weights, tools) {
  return Learner.open({ recipe: { model: config, training, course }, tokens: data.train, weights, ...tools });
}

/** As `measure`, on all workers or on one: the faster, which all aren't on a machine that does something else as well. */
async function measureBest(option, data, weights, asked, tools) {
  const workers = Math.min(tools.workers ?? 1, option.training.shards);
  const all = await measure(option, data, weights, asked, { ...tools, workers });
  const alone = workers > 1 ? await measure(option, data, all.weights, asked, { ...tools, workers: 1 }, all.step) : null;
  return alone && alone.step < all.step ? alone : all;
}

/**
 * Seconds of a step, of reading a token, and of what an evaluation costs beside reading, and the weights that
 * it began with, which are dear to draw; null where the first step takes longer than `most`.
 */
async function measure(option, data, weights, { minutes, name, parent }, tools, most = Infinity) {
  const training = { ...option.training, parent };
  const epochs = (60 * minutes * GUESS) / data.train.length;
  const config = { ...option.config, dropout: dropoutFor(option.config, data.train.length, epochs) };
  const learner = await opened(config, training, [[0, 10000]], data, weights, tools);
  const seconds = async (act) => {
    const begun = performance.now();
    const given = await act();
    return [(performance.now() - begun) / 1000, given];
  };
  try {
    const begun = weights ?? (await learner.weights());
    const [first] = await seconds(() => learner.steps({ milliseconds: 1, most: 1 }));
    if (first > most) return null;
    const [taken, { losses }] = await seconds(() => learner.steps({ milliseconds: MEASURED, most: 1000 }));
    const [reading, { count }] = await seconds(() => learner.evaluate(data.validation.slice(0, READ + 1)));
    const [writing] = await seconds(async () => written({ data: dataOf({ name, config, tokens: data.characters.tokens }, tools.tables), weights: await learner.weights(), count: WRITTEN, temperature: 1 }));
    return { step: taken / losses.length, token: reading / count, fixed: (writing / WRITTEN) * training.sample_tokens, workers: tools.workers, weights: begun };
  } finally {
    learner.close();
  }
}

/** A parent's bits a character over those of the frequencies of the text's own characters. */
async function unlikeness(option, data, parent, weights, tools) {
  const read = data.validation.slice(0, BEGINNING);
  const known = read.filter((id) => id < parent.tokens.length);
  if (known.length < 2) return Infinity;
  const learner = await opened(option.config, option.training, [[0, 1]], data, weights, tools);
  try {
    const { loss } = await learner.evaluate(known);
    const bits = (loss / Math.LN2) * known.length + (read.length - known.length) * Math.log2(0x110000);
    return bits / read.length / Math.max(1e-9, entropy(read));
  } finally {
    learner.close();
  }
}

/** All of run.toml, as `training/pipeline.py` writes it. */
function settingsToml({ config, training, plan, name, data, parent, tools, original, given, source }) {
  const { corpus, characters } = data;
  const left = Array.from(data.unknown.values()).reduce((sum, one) => sum + one, 0);
  return {
    // read as it stands in the folder, where nothing is to be guessed any more
    corpus: { ...RECIPES.corpus, sources: [TEXT], form: "text", encoding: "utf-8" },
    tokenizer: { ...RECIPES.tokenizer },
    training: { ...training, parent: parent?.name ?? null },
    sampling: { ...RECIPES.sampling },
    model: settingsOf(config),
    run: { name, created: `${new Date().toISOString().slice(0, 19)}+00:00`, textwright: tools.version, platform: "a browser's tab", device: "cpu", precision: "float32" },
    data: {
      name,
      sha256: corpus.sha256,
      train_tokens: data.train.length,
      validation_tokens: data.validation.length,
      train_characters: corpus.characters[0],
      validation_characters: corpus.characters[1],
      validation_unknown: left / Math.max(1, data.validation.length + left),
      vocab_size: characters.size,
      warnings: given.note ? [inEnglish(given.note)] : [],
      sources: [{ address: source || inEnglish(() => t("pasted text")), sha256: sha256(original), bytes: original.length, encoding: given.encoding }],
    },
    parent: parent && { name: parent.name, sha256: parent.sha256, texts: parent.texts },
    plan,
    result: { status: "running" },
  };
}
