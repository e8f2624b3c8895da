// Trains as a tab does: `node tab_training.mjs FOLDER ENGINE`, where FOLDER has the page's modules. Jobs
// come in as JSON, one after the other; each gives the run folder and what was shown.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

const folder = new URL(`${pathToFileURL(process.argv[2])}/`);
const { TabTraining } = await import(new URL("learning/training.js", folder));
const { readRun } = await import(new URL("learning/readrun.js", folder));
const { parentOf } = await import(new URL("learning/parents.js", folder));
const { speak } = await import(new URL("words.js", folder));
const { unzip, zip } = await import(new URL("learning/zip.js", folder));

const { tables, jobs } = JSON.parse(readFileSync(0, "utf-8"));
const wasm = new Uint8Array(readFileSync(process.argv[3]));

function makeWorker() {
  const worker = new Worker(new URL("learning_worker.mjs", import.meta.url), { workerData: { root: folder.href } });
  worker.on("message", (data) => worker.onmessage({ data }));
  worker.on("error", (error) => worker.onerror({ message: error.message }));
  return worker;
}

const from64 = (text) => new Uint8Array(Buffer.from(text, "base64"));
const tools = (workers) => ({ makeWorker, wasm, workers, tables, version: "test" });
const unpacked = async (text) => readRun(await unzip(from64(text)));

/** Trains to the end, or until `pause` steps; `events` counts what was told. */
async function trained(training, { pause = Infinity, rate = null, crash = null, keeps = true, cut = false }) {
  const events = {};
  let kept = null;
  training.keep = async (given) => {
    if (!keeps) throw new Error("no room");
    kept = structuredClone(given);
  };
  training.onevent = ({ kind }) => {
    events[kind] = (events[kind] ?? 0) + 1;
    if (kind === "step" && training.shown.step >= pause) training.pause();
    if (cut && training.shown.phase === "measuring") training.stop();
    if (kind === "evaluated" && rate && training.shown.step > 0 && !training.shown.marks.length) training.setRate(rate);
  };
  if (crash) await crashed(training, crash);
  await training.run();
  const { phase, metrics, samples, step, marks, message, notes, best, verdict } = training.shown;
  const archive = await zip(await training.files());
  training.close();
  return { zip: Buffer.from(archive).toString("base64"), phase, metrics, samples: samples.map(({ step, text }) => ({ step, text })), step, marks, message, notes, best, verdict, events, last: kept };
}

/** Runs until it has done some steps, when its workers are lost. */
async function crashed(training, step) {
  const told = training.onevent;
  training.onevent = (event) => {
    told(event);
    if (event.kind === "step" && training.shown.step >= step) training.learner?.fail(new Error("lost"));
  };
  await training.run().then(() => assert.fail("nobody noticed"), (error) => assert.equal(error.message, "lost"));
  assert.equal(training.shown.phase, "failed");
  training.onevent = told;
}

const JOBS = {
  async train({ asked, workers = 1, parent = null, language = null, ...how }) {
    speak(language ?? "en", language ? (await import(new URL(`words/${language}.js`, folder))).words : {});
    if (parent) asked.parent = parent.zip ? await unpacked(parent.zip) : parentOf(parent.data, floats(parent.weights));
    return trained(await TabTraining.prepare(asked, tools(workers)), how);
  },
  async goOn({ zip: archive, text = null, workers = 1, ...how }) {
    return trained(await TabTraining.goOn(await unpacked(archive), text, tools(workers)), how);
  },
  /** One that is stopped, and then gone on with until it is paused: both archives. */
  async stopped({ asked }) {
    const training = await TabTraining.prepare(asked, tools(1));
    const found = [];
    for (const ask of ["stop", "pause"]) {
      const begun = training.shown.step;
      training.onevent = ({ kind }) => kind === "step" && training.shown.step > begun && training[ask]();
      await training.run();
      const { best, verdict, phase } = training.shown;
      found.push({ zip: Buffer.from(await zip(await training.files())).toString("base64"), best, verdict, phase });
    }
    training.close();
    return { found };
  },
  /** How often one is kept in its first slices, after which a quarter of a minute has passed. */
  async late({ asked }) {
    const training = await TabTraining.prepare(asked, tools(1));
    let [kept, slices] = [0, 0];
    training.keep = async () => void kept++;
    training.onevent = ({ kind }) => {
      if (kind !== "step") return;
      if (slices++) training.close();
      training.saved -= 16000;
    };
    await training.run();
    return { kept };
  },
  /** A tab that was closed after some steps, and opened again with what was kept. */
  async interrupted({ asked, pause, workers = 1 }) {
    const { last } = await trained(await TabTraining.prepare(asked, tools(workers)), { pause });
    return trained(await TabTraining.reopen(last, tools(workers)), {});
  },
};

const floats = (weights) => Object.fromEntries(Object.entries(weights).map(([name, { shape, data }]) => [name, { shape, data: new Float32Array(from64(data).slice().buffer) }]));

const given = [];
for (const { kind, ...job } of jobs) {
  try {
    const { last: _, ...told } = await JOBS[kind](job);
    given.push(told);
  } catch (error) {
    given.push({ error: error.message });
  }
}
process.stdout.write(JSON.stringify(given), () => process.exit());
