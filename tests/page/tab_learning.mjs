// Runs what a training in a tab does with texts and files: `node tab_learning.mjs FOLDER`, as `runtime.mjs`.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const load = (name) => import(new URL(`learning/${name}.js`, `${pathToFileURL(process.argv[2])}/`));
const { Characters } = await load("characters");
const { fromConfigJson, toConfigJson } = await load("config");
const { corpusOf, decoded, prepared, splitAt } = await load("corpus");
const { optionOf, planOf } = await load("plan");
const { sha256 } = await load("sha256");
const { fromToml, toToml } = await load("toml");
const { unzip, zip } = await load("zip");
const { verdict } = await load("verdict");

const from64 = (text) => new Uint8Array(Buffer.from(text, "base64"));
const to64 = (bytes) => Buffer.from(bytes).toString("base64");
const mapped = async (files, how) => Object.fromEntries(Object.entries(files).map(([path, content]) => [path, how(content)]));

const JOBS = {
  read({ bytes, fraction, known }) {
    const { text, encoding } = decoded(from64(bytes), "my.txt");
    const corpus = corpusOf(prepared(text, "my.txt"), "my.txt", fraction);
    const characters = known ? new Characters(known).extended(corpus.train) : Characters.of(corpus.train);
    const [train, validation] = [corpus.train, corpus.validation].map((part) => characters.encode(part));
    return {
      encoding, sha256: corpus.sha256, characters: corpus.characters, train: Array.from(train.ids), validation: Array.from(validation.ids),
      hidden: characters.hiddenBits(validation.unknown, corpus.characters[1]), file: characters.file(), start: characters.start,
    };
  },
  split: ({ characters, fraction }) => splitAt(characters, fraction),
  plan({ asked, counts }) {
    const option = optionOf(asked);
    const made = planOf(option, counts);
    return { ...made, json: toConfigJson(made.config), again: fromConfigJson(toConfigJson(made.config)) };
  },

  digest: ({ pieces }) => sha256(...pieces.map(from64)),
  toml: ({ text }) => ({ read: fromToml(text), written: toToml(fromToml(text)) }),
  zip: async ({ files }) => to64(await zip(await mapped(files, from64))),
  unzip: async ({ bytes }) => mapped(await unzip(from64(bytes)), to64),
  verdict: ({ metrics, plan }) => verdict(metrics, plan),
};

const told = async ({ kind, ...job }) => {
  try {
    return await JOBS[kind](job);
  } catch (error) {
    return { error: error.message };
  }
};
process.stdout.write(JSON.stringify(await Promise.all(JSON.parse(readFileSync(0, "utf-8")).map(told))), () => process.exit());
