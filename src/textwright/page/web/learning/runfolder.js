// A run folder as Python writes and reads it, as {path: Uint8Array}: `runs/folder.py`, `training/loop/checkpoints.py`.

import { Characters } from "./characters.js";
import { toConfigJson } from "./config.js";
import { toSafetensors } from "./safetensors.js";
import { sha256 } from "./sha256.js";
import { toToml } from "./toml.js";

/** The file with the text that a run brings with it. */
export const TEXT = "text.utf8";

/** A name for a run, out of a file's. */
export function nameFrom(text) {
  const name = text.normalize("NFC").toLowerCase().replace(/\.(txt|md|text)$/, "").replace(/[^\p{L}\p{N}_.]+/gu, "-");
  return name.replace(/\.{2,}/g, ".").replace(/^[-_.]+/, "").slice(0, 60).replace(/[-_.]+$/, "") || "run";
}

/** The files of a training; `kept` as `TabTraining` keeps it. */
export function runFiles(kept) {
  const { settings, metrics, samples, checkpoint } = kept;
  const { training } = settings;
  const files = {
    "config.json": json(toConfigJson(kept.config)),
    "tokenizer.json": new Characters(kept.tokens).file(),
    "tokenizer_config.json": json(TOKENIZER_CONFIG).replace('"model_max_length": 1e+30', '"model_max_length": 1000000000000000019884624838656'),
    "generation_config.json": json(generationConfig(settings.sampling)),
    // who goes on elsewhere goes on at the rate that was set here
    "run.toml": toToml({
      ...settings,
      training: { ...training, learning_rate: training.learning_rate * kept.factor, matrix_learning_rate: training.matrix_learning_rate * kept.factor },
      tab: { marks: kept.marks },
    }),
    "metrics.jsonl": lines(metrics),
    "samples.jsonl": lines(samples.map(({ step, prompt, text }) => ({ step, prompt, text }))),
    "README.md": card(kept),
    [TEXT]: kept.text,
    "model.safetensors": toSafetensors(kept.weights, { format: "pt" }),
  };
  if (checkpoint) {
    const folder = `checkpoints/step-${checkpoint.state.step}`;
    const tensors = toSafetensors(checkpoint.tensors);
    const record = { sha256: sha256(tensors, sortedNumbers(checkpoint.state)), ...checkpoint.state };
    files[`${folder}/tensors.safetensors`] = tensors;
    files[`${folder}/checkpoint.json`] = `{\n${Object.entries(record).map(([name, value]) => `  "${name}": ${pythonNumber(value)}`).join(",\n")}\n}\n`;
  }
  const bytes = (content) => (typeof content === "string" ? new TextEncoder().encode(content) : content);
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [path, bytes(content)]));
}

/** As Python's json writes a checkpoint's numbers with sorted keys: what its sha256 is taken of. */
function sortedNumbers(state) {
  const entries = Object.keys(state).sort().map((name) => `"${name}": ${pythonNumber(state[name])}`);
  return `{${entries.join(", ")}}`;
}

/** A number as Python's `repr` writes it, where JavaScript's differs: 1e-05, 1e+16. */
function pythonNumber(value) {
  if (typeof value !== "number") return JSON.stringify(value);
  if (Number.isSafeInteger(value)) return String(value);
  const size = Math.abs(value);
  const text = size < 1e-4 || size >= 1e16 ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
const lines = (records) => records.map((record) => `${JSON.stringify(record)}\n`).join("");

const TOKENIZER_CONFIG = {
  tokenizer_class: "PreTrainedTokenizerFast",
  model_max_length: 1e30,
  clean_up_tokenization_spaces: false,
  split_special_tokens: true,
  textwright: { kind: "char" },
};

function generationConfig({ temperature, top_k: topK, top_p: topP, min_p: minP, repetition_penalty: penalty }) {
  const drawn = { temperature, top_k: Math.max(0, topK), top_p: topP, ...(minP > 0 ? { min_p: minP } : {}) };
  return { do_sample: temperature > 0, ...(temperature > 0 ? drawn : {}), repetition_penalty: penalty, max_new_tokens: 200 };
}

/** A card, until `textwright import` writes the one with all the numbers. */
function card({ name, config, settings, metrics }) {
  const best = metrics.findLast((row) => row.best);
  const { parent } = settings;
  return [
    "---", "library_name: textwright", "pipeline_tag: text-generation", `tags: [textwright, text-generation, ${config.family}, char]`, "---", "",
    `# ${name}`, "",
    `A small ${config.family} language model of ${settings.plan.parameters.toLocaleString("en")} parameters, trained in a browser's tab${parent ? ` from ${parent.name}` : ""}. It reads and writes characters. Made with textwright.`, "",
    ...(best ? [`Validation loss ${best.val_loss.toFixed(4)} nats, ${best.val_bits_per_char.toFixed(4)} bits a character, after ${best.step.toLocaleString("en")} steps.`, ""] : []),
    "```sh", `textwright import ${name}.zip`, `textwright generate ${name}`, "```", "",
  ].join("\n");
}
