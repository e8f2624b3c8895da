// Models and trainings of a tab without a browser: `node tab_state.mjs FOLDER`, as `state.mjs`. Prints
// nothing where all is well.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import vm from "node:vm";

const folder = `${pathToFileURL(process.argv[2])}/`;
const load = (name) => import(new URL(`${name}.js`, folder));
const { Writers } = await load("api/writers");
const { besides } = await load("api/besides");

// a name that another model has stays that one's: the file's own, the server's
const of = (name, from) => ({ name, about: { from } });
const names = (list) => list.map(({ name, from }) => `${name}: ${from}`);
const inFile = new Writers();
inFile.known.set("pasted", { data: of("pasted", "file"), run: null });
for (const time of ["first", "second"]) inFile.add(of("pasted", time), null);
assert.deepEqual(names(inFile.list()), ["pasted: file", "pasted 2: second"]);
assert.deepEqual([inFile.runOf("pasted"), inFile.runOf("pasted 2"), inFile.shown("pasted")], [null, "pasted", "pasted 2"]);
inFile.drop("pasted");
inFile.drop("pasted");
assert.deepEqual(names(inFile.list()), ["pasted: file"]);

const writers = new Writers();
writers.timeline = async ({ model }) => `tab's ${model}`;
for (const name of ["pasted", "alone"]) writers.add(of(name, "tab"), null);
const there = async (request) => `server's ${request.model ?? request}`;
const served = [of("pasted", "server")];
const api = { models: async () => served.map(({ name }) => ({ name, from: "server" })), write: there, read: there, look: there, timeline: there, exported: there, copied: there };
api.chat = async function* ({ model }) {
  yield `server's ${model}`;
};
besides(api, writers);
assert.deepEqual(names(await api.models()), ["pasted 2: tab", "alone: tab", "pasted: server"]);
assert.deepEqual(await Promise.all(["pasted", "pasted 2"].map((model) => api.timeline({ model }))), ["server's pasted", "tab's pasted 2"]);
served.pop();
assert.deepEqual(names(await api.models()), ["pasted: tab", "alone: tab"]);
await assert.rejects(api.copied({ model: "alone" }), /alone is in this browser alone/);
assert.equal(await api.copied({ model: "other" }), "server's other");
await assert.rejects(api.chat({ model: "alone" }).next(), /alone is in this browser alone/);
assert.equal((await api.chat({ model: "other" }).next()).value, "server's other");

// a browser that has no room keeps nothing, and the server's answer is good all the same
const answer = { ok: true, clone: () => answer };
const gone = { match: async () => "kept before" };
async function fetched(fetch, caches) {
  const heard = {};
  const scope = { addEventListener: (name, hear) => (heard[name] = hear), registration: { scope: "http://here/" }, caches, fetch, Response: { error: () => "error" } };
  vm.runInNewContext(readFileSync(new URL("service.js", folder), "utf8"), scope);
  const waited = [];
  let answered = null;
  heard.fetch({ request: { method: "GET", url: "http://here/page.js" }, respondWith: (given) => (answered = given), waitUntil: (given) => waited.push(given) });
  const given = await answered;
  await Promise.all(waited);
  return given;
}
const full = { ...gone, put: () => Promise.reject(new Error("quota")) };
assert.equal(await fetched(async () => answer, { open: async () => full }), answer);
assert.equal(await fetched(async () => answer, { open: () => Promise.reject(new Error("not allowed")) }), answer);
assert.equal(await fetched(() => Promise.reject(new Error("gone")), { open: async () => full }), "kept before");

// a training is held by one tab, also where the browser has no locks (as here)
const { hold } = await load("state/holding");
const letGo = await hold("pasted");
assert.equal(await hold("pasted"), null);
(await hold("other"))();
letGo();
(await hold("pasted"))();

// one that another tab went on with is read again; one that hasn't been kept meanwhile isn't
const { Lesson } = await load("state/lesson");
const { TabTraining } = await load("learning/training");
const tables = { runs: new Map(), checkpoints: new Map(), weights: new Map() };
const database = { keeps: true, put: async (table, row) => void tables[table].set(row.name, row), one: async (table, name) => structuredClone(tables[table].get(name)) };
const done = [];
function training(kept) {
  const shown = { phase: "paused", step: kept.checkpoint.state.step, steps: 9, metrics: [], samples: [] };
  const act = (what) => async () => {
    done.push(`${what} from ${shown.step}`);
    kept.checkpoint.state.step = ++shown.step;
    await made.keep({ ...structuredClone(kept), metrics: [] });
  };
  const made = { kept, shown, plan: {}, tools: null, close: () => {}, run: act("run"), stop: act("stop") };
  return made;
}
TabTraining.reopen = async (kept) => training(kept);
let screens = 0;
globalThis.document = { hidden: false };
globalThis.navigator = { wakeLock: { request: async () => (screens++, { released: false, release: async () => {} }) } };
const home = { database, tell: () => {} };
const at = (step) => ({ name: "pasted", checkpoint: { state: { step } } });
const first = new Lesson(training(at(3)), home);
await first.run();
const second = await Lesson.reopen(structuredClone(tables.checkpoints.get("pasted")), null, home);
await second.run();
first.end();
await first.run();
await first.run();
assert.deepEqual(done, ["run from 3", "run from 4", "stop from 5", "run from 6"]);

// what a full disk didn't take is in this tab alone: it isn't given up for what was kept before
database.put = async () => {
  throw new Error("quota");
};
await first.run();
assert.ok(first.unkept);
await first.run();
assert.deepEqual(done.slice(4), ["run from 7", "run from 8"]);

// a page that was hidden has lost the lock on the screen, and asks again
screens = 0;
first.running = true;
first.screen = null;
await first.wake();
await first.wake();
assert.equal(screens, 1);
first.screen.released = true;
document.hidden = true;
await first.wake();
assert.equal(screens, 1);
document.hidden = false;
await first.wake();
assert.equal(screens, 2);

// a device that has learned at less than 0.6 of its first speed for 20 seconds is told of, a moment isn't
let now = 1e12;
Date.now = () => now;
const warm = new Lesson(training(at(0)), home);
const speeds = (first, speed) => Object.assign(warm.training.shown, { first_tokens_per_second: first, tokens_per_second: speed });
warm.running = true;
const slowAfter = (seconds, speed) => {
  now += 1000 * seconds;
  speeds(1000, speed);
  warm.changed();
  return warm.told.slow;
};
assert.deepEqual([[0, 1000], [1, 500], [15, 500], [1, 700], [1, 500], [19, 500], [2, 500], [1, 900]].map(([seconds, speed]) => slowAfter(seconds, speed)), [false, false, false, false, false, false, true, false]);
