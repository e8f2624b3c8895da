// The API on the model inside the page, in place of a server.

import { Writer } from "../runtime/writer.js";

export class OfflineApi {
  constructor(data, weights) {
    this.home = "offline";
    this.writer = new Writer(data, weights);
  }

  async models() {
    return [{ ...this.writer.data.about, name: this.writer.name, state: "ready" }];
  }

  write({ prompt, ...settings }, signal) {
    return this.writer.write(prompt, settings, signal);
  }

  read(request, signal) {
    return this.writer.read(request, signal);
  }

  look({ text }, signal) {
    return this.writer.look(text, signal);
  }
}
