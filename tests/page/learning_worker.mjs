// A worker of a training under Node, which has the page's workers but in its own words.

import { parentPort, workerData } from "node:worker_threads";

const { root, plain } = workerData;
if (plain) WebAssembly.Module.customSections = () => []; // the engine of older browsers
const scope = { postMessage: (message, transfer) => parentPort.postMessage(message, transfer) };
const { serve } = await import(new URL("learning/worker.js", root));
serve(scope);
parentPort.on("message", (data) => scope.onmessage({ data }));
