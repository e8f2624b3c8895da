// A worker of a training under Node, which has the page's workers but in its own words.

import { parentPort, workerData } from "node:worker_threads";

const scope = { postMessage: (message, transfer) => parentPort.postMessage(message, transfer) };
const { serve } = await import(new URL("learning/worker.js", workerData));
serve(scope);
parentPort.on("message", (data) => scope.onmessage({ data }));
