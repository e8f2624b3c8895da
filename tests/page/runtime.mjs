// Runs the page's runtime without a browser: `node runtime.mjs FOLDER`, where FOLDER has the
// page's modules and a package.json that calls them so. A list of jobs comes in as JSON, what each gives goes out.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const load = (name) => import(new URL(`${name}.js`, `${pathToFileURL(process.argv[2])}/`));
const { Philox } = await load("runtime/philox");
const { Sampler } = await load("runtime/sampling");
const { StopFilter } = await load("runtime/stopping");
const { Tokenizer } = await load("runtime/tokenizer");
const { Writer } = await load("runtime/writer");
const { layersOf } = await load("api/layers");

const plain = (value) => (typeof value === "number" ? value : Array.from(value, plain));

const JOBS = {
  logits({ data, weights, tokens }) {
    const cursor = new Writer(data, weights).cursor();
    return tokens.map((token) => Array.from(cursor.read(token)));
  },
  async mixed({ data, weights, tokens }) {
    let cursor = (await new Writer(data, weights).whole()).cursor();
    return tokens.map((token, place) => {
      if (place % 7 === 3) cursor = cursor.copy();
      return Array.from(cursor.read(token));
    });
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
  prompts({ data, texts, ids }) {
    const reader = new Tokenizer(data);
    const decode = reader.stream();
    return { read: texts.map((text) => reader.encodePrompt(text)), text: ids.map(decode).join("") + decode(null) };
  },
  async texts({ data, weights, prompts, asked }) {
    const writer = new Writer(data, weights);
    const written = [];
    for (const { prompt, ...settings } of asked) {
      const tokens = [];
      for await (const { token } of writer.write(prompt, settings, null)) if (token) tokens.push(token);
      written.push({ text: tokens.map(({ text }) => text).join(""), tokens });
    }
    return { read: prompts.map((text) => writer.encode(text).ids), written };
  },
  async reads({ data, weights, texts, start }) {
    const logprobs = async (writer, text) => (await writer.read({ text, start })).tokens.map(({ logprob }) => logprob);
    const [keeps, kept] = [new Writer(data, weights), []];
    for (const text of texts) kept.push(await logprobs(keeps, text));
    return { kept, anew: await Promise.all(texts.map((text) => logprobs(new Writer(data, weights), text))) };
  },
  async inside({ data, weights, text, told }) {
    const seen = await new Writer(data, weights).look(text, null);
    const inside = ({ units, peaks = [], attention = [] }) => ({ units: plain(units), peaks: plain(peaks), attention: plain(attention) });
    return { tokens: seen.tokens.map((one) => one.text), here: inside(seen), told: inside(layersOf(told)) };
  },
};

const jobs = JSON.parse(readFileSync(0, "utf-8"));
const given = await Promise.all(jobs.map(({ kind, ...job }) => JOBS[kind](job)));
// The channels by which the page lets its window breathe stay open, and would keep Node running
process.stdout.write(JSON.stringify(given), () => process.exit());
