// Runs the page's runtime without a browser: `node runtime.mjs FOLDER`, where FOLDER has the
// page's modules and a package.json that calls them so. A list of jobs comes in as JSON, what each gives goes out.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const load = (name) => import(new URL(`${name}.js`, `${pathToFileURL(process.argv[2])}/`));
const { Philox } = await load("runtime/philox");
const { Sampler } = await load("runtime/sampling");
const { StopFilter } = await load("runtime/stopping");
const { Writer } = await load("runtime/writer");

const JOBS = {
  logits({ data, weights, tokens }) {
    const cursor = new Writer(data, weights).cursor();
    return tokens.map((token) => Array.from(cursor.read(token)));
  },
  uniforms({ seed, count }) {
    const random = new Philox(seed);
    return Array.from({ length: count }, () => random.uniform());
  },
  draws({ settings, seed, suppressed, read, logits }) {
    const sampler = new Sampler(settings, seed, suppressed, read);
    return logits.map((row) => sampler.draw(row));
  },
  stops({ stops, pieces }) {
    const filter = new StopFilter(stops);
    const shown = [];
    for (const piece of pieces) if (!filter.stopped) shown.push(filter.push(piece));
    return { shown, stopped: filter.stopped, rest: filter.flush() };
  },
};

const jobs = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(jobs.map(({ kind, ...job }) => JOBS[kind](job))));
