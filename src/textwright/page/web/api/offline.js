// The API on the models inside the page, in place of a server.

import { bytesOf, readTensors } from "../runtime/tensors.js";
import { Writer } from "../runtime/writer.js";
import { Writers } from "./writers.js";

export class OfflineApi extends Writers {
  /** data: from `page/packing.py`, null where the page has no model yet; weights: their bytes in base64. */
  constructor(data, weights) {
    super();
    this.home = "offline";
    if (!data) return;
    this.writer = new Writer(data, weights);
    const load = async () => {
      const read = readTensors(data.tensors, bytesOf(weights));
      return Object.fromEntries(Object.entries(data.tensors).map(([name, { shape }]) => [name, { shape, data: read[name] }]));
    };
    this.known.set(data.name, { data, load, run: null, writer: Promise.resolve(this.writer) });
  }
}
