// Trains with the page's learner without a browser: `node learning.mjs FOLDER WASM [plain]`, where
// FOLDER has the page's modules and a package.json that calls them so; `plain` takes the engine of
// older browsers. A list of jobs comes in as JSON, what each
// gives goes out. Numbers of float32 go either way as base64.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

const [folder, binary, plain] = process.argv.slice(2);
const root = `${pathToFileURL(folder)}/`;
const load = (name) => import(new URL(`learning/${name}.js`, root));
const { Draws, seedWords } = await load("seeds");
const { makeBatches, freshStarts, dropoutKey } = await load("batches");
const { initialWeights } = await load("initial");
const { rateFactor } = await load("schedule");
const { Learner } = await load("learner");

const wasm = binary ? new WebAssembly.Module(readFileSync(binary)) : null;

function makeWorker() {
  const worker = new Worker(new URL("learning_worker.mjs", import.meta.url), { workerData: { root, plain } });
  worker.on("message", (data) => worker.onmessage({ data }));
  worker.on("error", (error) => worker.onerror({ message: error.message }));
  return worker;
}

const written = (numbers) => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("base64");
const read = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
const each = (tensors, change) => tensors && Object.fromEntries(Object.entries(tensors).map(([name, { shape, data }]) => [name, { shape, data: change(data) }]));

const JOBS = {
  relaxed: () => WebAssembly.validate(WebAssembly.Module.customSections(wasm, "relaxed")[0]),
  words: ({ numbers, count }) => Array.from(seedWords(numbers, count)),
  draws({ numbers, below, shuffled, count }) {
    const draws = new Draws(numbers);
    return { below: below.map((limit) => draws.below(limit)), order: Array.from(draws.permutation(shuffled)), uniform: Array.from({ length: count }, () => draws.uniform()) };
  },
  batches({ config, tokens, batch, seed, steps, share }) {
    const batches = makeBatches(config, Int32Array.from(tokens), batch, seed);
    const rows = (step) => Array.from({ length: batch }, (_, sample) => Array.from(batches.row(step, sample)));
    return steps.map((step) => ({ rows: rows(step), resets: batches.resetsState(step), fresh: freshStarts(seed, step, batch, share), keys: rows(step).map((_, sample) => dropoutKey(seed, step, sample)) }));
  },
  initial: ({ config, seed }) => Object.fromEntries(Object.entries(initialWeights(config, seed)).map(([name, data]) => [name, written(data)])),
  rates: ({ settings, course, steps }) => steps.map((step) => rateFactor(step, settings, course)),
  async train({ recipe, tokens, tensors = null, weights = null, step = 0, workers = 1, steps = 0, evaluated = null, limit = 0, wants = [] }) {
    const text = Int32Array.from(tokens);
    const learner = await Learner.open({ recipe, tokens: text, tensors: each(tensors, read), weights: each(weights, read), step, makeWorker, wasm, workers });
    const found = { losses: [], bytes: learner.bytes };
    if (steps) {
      const begun = performance.now();
      const learned = await learner.steps({ most: steps });
      found.seconds = (performance.now() - begun) / 1000;
      found.losses = Array.from(learned.losses);
      found.step = learned.step;
    }
    if (evaluated) found.evaluated = await learner.evaluate(Int32Array.from(evaluated), { limit });
    for (const want of wants) found[want] = each(await learner[want](), written);
    learner.close();
    return found;
  },
};

const jobs = JSON.parse(readFileSync(0, "utf-8"));
const given = [];
for (const { kind, ...job } of jobs) {
  try {
    given.push(await JOBS[kind](job));
  } catch (error) {
    given.push({ problem: error.message });
  }
}
process.stdout.write(JSON.stringify(given), () => process.exit());
