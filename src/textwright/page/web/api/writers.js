// The models that are in this tab: they answer what a server's would.

import { Writer } from "../runtime/writer.js";

export class Writers {
  constructor() {
    this.known = new Map(); // by the name that a model is shown under
    this.taken = new Set();
  }

  /**
   * The model of a training of this tab, in place of what it was before. data: as `page/packing.py` makes it;
   * load(): a promise of its tensors, {name: {shape, data}}.
   */
  add(data, load) {
    const run = data.name;
    this.known.set(this.shown(run), { data, load, run });
  }

  /** What a training's model is shown as: under its name, unless a model that isn't this tab's has that. */
  shown(run) {
    for (const [name, one] of this.known) if (one.run === run) return name;
    let name = run;
    for (let number = 2; this.taken.has(name) || this.known.has(name); number++) name = `${run} ${number}`;
    return name;
  }

  /** Other models, a server's, have these names, and keep them. */
  yieldTo(names) {
    this.taken = new Set(names);
    const all = [...this.known.values()];
    this.known.clear();
    for (const one of all) this.known.set(this.shown(one.run), one);
  }

  /** The training that a model is of; null: it came with the page. */
  runOf(name) {
    return this.known.get(name)?.run ?? null;
  }

  drop(run) {
    if (run !== null && this.runOf(this.shown(run)) === run) this.known.delete(this.shown(run));
  }

  has(name) {
    return this.known.has(name);
  }

  list() {
    return [...this.known].map(([name, { data }]) => ({ ...data.about, name, state: "ready" }));
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
