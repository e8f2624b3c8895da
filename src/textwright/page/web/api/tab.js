// Training in the tab on a page from a server, which gives files for it and nothing else.

import { Here } from "../state/here.js";
import { besides } from "./besides.js";
import { Writers } from "./writers.js";

const file = async (name) => {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer;
};

async function tools() {
  navigator.serviceWorker?.register("service.js").catch(() => {}); // where it may: the page is there without its server
  const [wasm, knowledge] = await Promise.all([WebAssembly.compileStreaming(file("engine.wasm")), file("knowledge.json").then((answer) => answer.json())]);
  return { ...knowledge, wasm, makeWorker: () => new Worker("learning/worker.js", { type: "module" }) };
}

/** Gives the page its trainings in this tab, once. */
export async function learnHere(page) {
  page.here ??= (async () => {
    const writers = new Writers();
    const here = new Here(page, writers, { tools, file: async () => (await file("train.html")).text() });
    await here.begin();
    besides(page.api, writers);
    return here;
  })();
  page.here = await page.here;
}
