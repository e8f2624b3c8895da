// Reading a run folder back, as an archive or as picked files: to begin with its model, or to go on
// with its training exactly.

import { t } from "../words.js";
import { Characters } from "./characters.js";
import { fromConfigJson } from "./config.js";
import { corpusOf, prepared } from "./corpus.js";
import { TEXT } from "./runfolder.js";
import { fromSafetensors } from "./safetensors.js";
import { sha256 } from "./sha256.js";
import { fromToml } from "./toml.js";

/**
 * What a run folder holds, {path: Uint8Array}: {name, config, tokens, weights, sha256, texts}, a parent
 * as it is, and {settings, metrics, samples, checkpoint, text}, null or empty where it has none.
 *
 * Paths may have a folder before them. Throws an Error where a file is missing or damaged, or the
 * model is none that a tab trains.
 */
export function readRun(files, name = "") {
  const found = Object.keys(files).filter((path) => /(^|\/)config\.json$/.test(path)).sort((a, b) => a.length - b.length)[0];
  if (!found) throw new Error(t("there is no config.json: choose the archive of a run, or its files"));
  const folder = found.slice(0, -"config.json".length);
  const file = (path) => files[folder + path];
  const text = (path) => file(path) && new TextDecoder().decode(file(path));
  const needed = (path) => text(path) ?? missing(path);
  const weightsFile = file("model.safetensors") ?? missing("model.safetensors");
  const settings = tables(text("run.toml"));
  const config = fromConfigJson(parsed(needed("config.json"), "config.json"));
  const { tokens } = Characters.read(parsed(needed("tokenizer.json"), "tokenizer.json"));
  if (tokens.length !== config.vocab_size) throw new Error(t("tokenizer.json and config.json are of two models; copy both from one training"));
  return {
    name: settings?.run?.name ?? (name || folder.split("/").at(-2) || "model"),
    config,
    tokens,
    weights: fromSafetensors(weightsFile, "model.safetensors"),
    sha256: sha256(weightsFile),
    texts: textsOf(settings),
    settings,
    metrics: records(text("metrics.jsonl")),
    samples: records(text("samples.jsonl")),
    checkpoint: latest(files, folder),
    text: text(TEXT) ?? null,
  };
}

function missing(name) {
  throw new Error(t("there is no {name}: choose the archive of a run, or all of its files", { name }));
}

function parsed(text, name) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(t("{name} is damaged; copy it again", { name }));
  }
}

function tables(text) {
  if (text === undefined) return null;
  try {
    return fromToml(text);
  } catch (error) {
    throw new Error(t("run.toml is damaged ({reason}); copy it again", { reason: error.message }));
  }
}

/** What the weights have read, the first text first. */
function textsOf(settings) {
  const before = settings?.parent?.texts ?? [];
  if (!settings?.data) return before;
  const { name, licence, sha256: digest, sources = [] } = settings.data;
  return [...before, { name, licence, sha256: digest, sources: sources.map((one) => one.address).filter(Boolean) }];
}

/** The objects of a .jsonl; a last line that was cut is skipped. */
function records(text = "") {
  return text.split("\n").flatMap((line) => {
    try {
      const record = JSON.parse(line);
      return Number.isInteger(record?.step) ? [record] : [];
    } catch {
      return [];
    }
  });
}

/** The latest whole checkpoint, {state, tensors}, or null. */
function latest(files, folder) {
  const pattern = /^checkpoints\/step-(\d+)\/checkpoint\.json$/;
  const steps = Object.keys(files).filter((path) => path.startsWith(folder)).map((path) => pattern.exec(path.slice(folder.length))?.[1]);
  for (const step of steps.filter(Boolean).sort((a, b) => b - a)) {
    const at = `${folder}checkpoints/step-${step}/`;
    const tensors = files[`${at}tensors.safetensors`];
    const text = new TextDecoder().decode(files[`${at}checkpoint.json`]);
    if (!tensors || !isWhole(text, tensors)) continue;
    const { sha256: _, ...state } = JSON.parse(text);
    return { state, tensors: fromSafetensors(tensors, "tensors.safetensors") };
  }
  return null;
}

/** Whether a checkpoint's sha256 is that of its tensors and of its numbers as they are written. */
function isWhole(text, tensors) {
  try {
    const { sha256: digest, ...state } = JSON.parse(text);
    const written = Object.fromEntries(Object.keys(state).map((name) => [name, new RegExp(`"${name}":\\s*([^\\s,}]+)`).exec(text)[1]]));
    const numbers = Object.keys(state).sort().map((name) => `"${name}": ${written[name]}`);
    return sha256(tensors, `{${numbers.join(", ")}}`) === digest;
  } catch {
    return false;
  }
}

/**
 * What `TabTraining.reopen` takes, of a run that `readRun` gave; text: that of a file, where the run
 * doesn't bring its own. Throws an Error where a tab can't go on with it.
 */
export function keptOf(run, text = null) {
  const { settings, checkpoint, name } = run;
  if (!settings?.plan || !checkpoint) throw new Error(t("{name} has no checkpoint to go on from; begin a new training with it instead", { name }));
  if (checkpoint.state.step >= settings.plan.steps) throw new Error(t("{name} has been trained to its end; begin a new training with it instead", { name }));
  if (settings.corpus.validation) throw new Error(t("{name} is judged by a text of its own, which a tab can't open; go on with textwright train --resume", { name }));
  if (run.text === null && text === null) throw new Error(t("{name} doesn't bring its text; give it too", { name }));
  const own = run.text ?? prepared(text, t("the text"));
  const fraction = settings.corpus.validation_fraction;
  if (corpusOf(own, t("the text"), fraction).sha256 !== settings.data.sha256) throw new Error(t("this is not the text that {name} began with; give that one", { name }));
  return {
    name, settings, tokens: run.tokens, text: own, metrics: run.metrics, samples: run.samples, marks: settings.tab?.marks ?? [], losses: [], factor: 1,
    config: { ...run.config, dropout: settings.model?.dropout ?? run.config.dropout }, temperature: settings.sampling.temperature,
    weights: run.weights, checkpoint,
  };
}
