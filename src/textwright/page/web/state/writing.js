// Writes with the model into the open text, and reads what people have typed.

import { appended, branched, current, nodeOf, typed, withNode, words } from "./texts.js";
import { alternatives, joined, placeOf, reread, rereadFrom, tokenAt, unread } from "./tokens.js";
import { t } from "../words.js";

const PAUSE = 350; // milliseconds without a key until what was typed is read
const FAN = 5;
const FAN_LENGTH = 24;
const FOLLOWING = 300;

export class Writing {
  constructor(store, api, library) {
    Object.assign(this, { store, api, library });
    this.running = null;
    this.reading = null;
  }

  get text() {
    return this.store.get("text");
  }

  /** The model that the open text belongs to; throws where it can't be asked. */
  get model() {
    const { model } = this.text;
    const known = this.store.get("models")?.find(({ name }) => name === model);
    if (known?.state !== "ready") throw new Error(t("{model} is not here now. The text stays; choose another model to go on with a copy of it.", { model }));
    return model;
  }

  settings(fields = {}) {
    const { length, ...settings } = this.store.get("settings");
    const seed = settings.seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
    return { ...settings, model: this.model, maxTokens: length, ...fields, seed: fields.seed ?? seed };
  }

  /** Writes on from a character: at the end in this branch, before it in a new one. */
  on(place, fields = {}) {
    return this.work(async (signal) => {
      const settings = this.settings(fields);
      const whole = words(this.text);
      const at = Math.min(place ?? whole.length, whole.length);
      const made = { seed: settings.seed, temperature: settings.temperature, begun: at };
      this.library.change(at < whole.length ? branched(this.text, at, [], made) : withNode(this.text, this.text.current, made), fields.auto ? null : "write");
      await this.stream(this.text.current, settings, signal);
    });
  }

  /** Another continuation from where the model began last. */
  again() {
    const { begun, at, parent } = current(this.text);
    const place = begun ?? at;
    return this.work(async (signal) => {
      const settings = this.settings();
      const fields = { seed: settings.seed, temperature: settings.temperature, begun: place };
      const text = branched(this.text, place, [], fields);
      // beside the branch that is there, where that too began at this place
      this.library.change(parent !== null && at === place ? withNode(text, text.current, { parent }) : text, "write");
      await this.stream(this.text.current, settings, signal);
    });
  }

  /** Takes another token in place of `token`, which begins at the character `place`, and writes on; in mid-text too. */
  async choose(place, { alts }, other) {
    await this.stop();
    return this.work(async (signal) => {
      const settings = this.settings();
      const token = { text: other.text, shown: other.text, logprob: other.logprob, alts };
      this.library.change(branched(this.text, place, [token], { seed: settings.seed, temperature: settings.temperature, begun: place + other.text.length }), "write");
      await this.stream(this.text.current, settings, signal);
    });
  }

  /** Adds one token that the die has chosen: at the end, or as a branch. */
  async take(token, place) {
    await this.stop();
    const text = this.text;
    const atEnd = place >= words(text).length;
    this.library.change(atEnd ? { ...appended(text, text.current, [token]), auto: false } : branched(text, place, [token]), "step");
    this.store.set({ caret: Infinity });
    this.ahead(0);
  }

  /** Five ways to go on from a character, each a branch. */
  fan(place) {
    return this.work(async (signal) => {
      const at = Math.min(place, words(this.text).length);
      let text = this.text;
      const home = text.current;
      const jobs = [];
      for (let number = 0; number < FAN; number++) {
        const settings = this.settings({ maxTokens: FAN_LENGTH, seed: crypto.getRandomValues(new Uint32Array(1))[0] });
        text = branched({ ...text, current: home }, at, [], { seed: settings.seed, temperature: settings.temperature, begun: at });
        jobs.push([text.current, settings]);
      }
      this.library.change({ ...text, current: home }, "write");
      await Promise.all(jobs.map(([id, settings]) => this.stream(id, settings, signal)));
    });
  }

  async work(task) {
    if (this.running) return;
    const running = new AbortController();
    this.running = running;
    clearTimeout(this.timer);
    this.reading?.abort();
    this.store.set({ writing: { begun: performance.now(), done: 0 }, trouble: null });
    this.ended = (async () => {
      try {
        await task(running.signal);
      } catch (error) {
        if (error.name !== "AbortError") this.store.set({ trouble: error });
      } finally {
        this.running = null;
        this.store.set({ writing: null });
        this.library.keepNow(); // a page that is left at once may not get to it
        this.ahead(0);
      }
    })();
    await this.ended;
  }

  async stop() {
    this.running?.abort();
    await this.ended;
  }

  /** Streams into a branch of the open text; the page draws once a frame. */
  async stream(id, settings, signal) {
    const { id: home } = this.text;
    let waiting = [];
    let reason = "stopped";
    const flush = () => {
      this.frame = null;
      if (!waiting.length) return;
      const text = this.text?.id === home ? appended(this.text, id, waiting) : null;
      const count = waiting.length;
      waiting = [];
      if (!text) return this.running?.abort();
      const writing = this.store.get("writing");
      this.library.change(text, null, writing ? { writing: { ...writing, of: settings.maxTokens, done: writing.done + count, first: writing.first ?? performance.now() } } : {});
    };
    let drawn = 0;
    try {
      const prompt = joined(nodeOf(this.text, id).tokens);
      for await (const event of this.api.write({ ...settings, prompt }, signal)) {
        signal.throwIfAborted();
        if (event.warnings) this.store.set({ warnings: event.warnings });
        if (event.end) reason = event.end;
        if (!event.token) continue;
        waiting.push(event.token);
        if (performance.now() - drawn < 16) continue;
        flush();
        drawn = performance.now();
        await frame();
      }
    } catch (error) {
      if (error.name !== "AbortError") reason = "lost";
      throw error;
    } finally {
      flush();
      if (this.text?.id === home) this.library.change(withNode(this.text, id, { reason }));
    }
  }

  /** Somebody's edit: {from, to, inserted}. */
  type(change) {
    this.running?.abort();
    this.library.change(typed(this.text, change), "type");
    this.ahead();
  }

  /** Reads, after a pause, what was not read yet, and what may follow at the cursor. */
  ahead(pause = PAUSE) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.readAhead(), pause);
  }

  async readAhead() {
    const { text } = this;
    if (!text || this.running) return;
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    const { tokens } = current(text);
    const whole = joined(tokens);
    const first = tokens.findIndex(unread);
    const place = Math.min(this.store.get("caret") ?? whole.length, whole.length);
    try {
      const model = this.model;
      if (first >= 0) {
        const start = rereadFrom(whole, placeOf(tokens, first));
        const read = await this.api.read({ model, text: whole, start }, reading.signal);
        if (this.text?.id !== text.id || this.running || words(this.text) !== whole) return;
        this.store.set({ warnings: read.warnings });
        this.library.change(withNode(this.text, this.text.current, { tokens: reread(current(this.text).tokens, read) }));
      }
      const { next, rest } = await this.api.read({ model, text: whole.slice(0, place), start: place, following: FOLLOWING }, reading.signal);
      if (!this.running) this.store.set({ next: { list: next, rest, place, text: text.id } });
    } catch (error) {
      if (error.name !== "AbortError" && this.store.get("trouble") === null) this.store.set({ trouble: error, next: null });
    }
  }

  /** The alternatives at a character, for a token that is there. */
  at(place) {
    const { tokens } = current(this.text);
    const index = tokenAt(tokens, place);
    return { index, token: tokens[index], others: tokens[index] ? alternatives(tokens[index]) : [] };
  }
}

/** The next frame, or soon where the page is hidden and has none. */
function frame() {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, 60);
    requestAnimationFrame(() => {
      clearTimeout(late);
      resolve();
    });
  });
}
