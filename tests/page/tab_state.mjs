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
