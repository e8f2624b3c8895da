// The entry of the page as one file that can train, with a model inside or without.

import { OfflineApi } from "./api/offline.js";
import { openPage } from "./app.js";
import { bytesOf } from "./runtime/tensors.js";
import { Here } from "./state/here.js";
import { ownFile } from "./state/onefile.js";
import { HereView } from "./views/here.js";
import { LookView } from "./views/look.js";
import { WatchView } from "./views/watch.js";
import { WriteView } from "./views/write.js";
import { speak, wanted } from "./words.js";

const text = (id) => document.getElementById(id).textContent;
const model = JSON.parse(text("model"));
const api = new OfflineApi(model, text("weights"));

/** For the browser's console: `textwright.writer` is the model in the file. */
globalThis.textwright = api;

const language = wanted(navigator.languages, Object.keys(globalThis.languages));
if (language) speak(language, globalThis.languages[language]);

const unpacked = (id) => new Response(new Blob([bytesOf(text(id))]).stream().pipeThrough(new DecompressionStream("gzip")));

async function tools() {
  const [wasm, script] = await Promise.all([unpacked("engine").arrayBuffer(), unpacked("worker").blob()]);
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  return { ...JSON.parse(text("knowledge")), wasm: await WebAssembly.compile(wasm), makeWorker: () => new Worker(address) };
}

const keepsake = document.getElementById("keepsake");

openPage(api, model ? [WriteView, HereView, WatchView, LookView] : [HereView, WriteView, WatchView, LookView], {
  keepsake: keepsake && JSON.parse(keepsake.textContent),
  before: async (page) => {
    page.here = new Here(page, api, { tools, file: async () => ownFile() });
    await page.here.begin();
  },
});
