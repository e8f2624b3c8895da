// The models that are in this tab: they answer what a server's would.

import { Writer } from "../runtime/writer.js";

export class Writers {
  constructor() {
    this.known = new Map();
  }

  /** data: as `page/packing.py` makes it; load(): a promise of its tensors, {name: {shape, data}}. */
  add(data, load) {
    this.known.set(data.name, { data, load });
  }

  drop(name) {
    this.known.delete(name);
  }

  has(name) {
    return this.known.has(name);
  }

  list() {
    return [...this.known.values()].map(({ data }) => ({ ...data.about, name: data.name, state: "ready" }));
  }

  async models() {
    return this.list();
  }

  /** The `Writer` of a model, made when it is asked first; without a name the first model's. */
  writerOf(name) {
    const one = this.known.get(name ?? this.known.keys().next().value);
    one.writer ??= one.load().then((tensors) => new Writer(one.data, Object.fromEntries(Object.entries(tensors).map(([key, { data }]) => [key, data]))));
    return one.writer;
  }

  async *write({ model, prompt, ...settings }, signal) {
    yield* (await this.writerOf(model)).write(prompt, settings, signal);
  }

  async read({ model, ...request }, signal) {
    return (await this.writerOf(model)).read(request, signal);
  }

  async look({ model, text }, signal) {
    return (await this.writerOf(model)).look(text, signal);
  }
}
