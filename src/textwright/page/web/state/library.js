// The texts: opened, made, changed, taken back, kept. All of it goes through here into the store.

import { current, fromFile, newText, noHistory, redone, remembered, undone, words } from "./texts.js";
import { lengthOf } from "./tokens.js";

const SOON = 400; // milliseconds after a change until it is kept

export class Library {
  constructor(store, database) {
    this.store = store;
    this.database = database;
    this.histories = new Map();
    addEventListener("pagehide", () => this.keepNow());
    document.addEventListener("visibilitychange", () => document.hidden && this.keepNow());
  }

  /** Reads what this browser has kept, and `others` that it hasn't. */
  async begin(others = []) {
    const texts = await this.database.all("texts").catch(() => []);
    const known = new Set(texts.map(({ id }) => id));
    texts.push(...others.filter(({ id }) => !known.has(id)));
    this.store.set({ texts: texts.sort((a, b) => b.changed - a.changed), keeps: this.database.keeps });
  }

  get text() {
    return this.store.get("text");
  }

  /** The newest text of a model, or null. */
  latest(model) {
    return this.store.get("texts").find((text) => text.model === model) ?? null;
  }

  /** All texts of a model, the open one as it is now. */
  of(model) {
    const { text } = this;
    const others = this.store.get("texts").filter((one) => one.model === model && one.id !== text?.id);
    return text?.model === model && words(text) ? [text, ...others] : others;
  }

  open(text) {
    this.keepNow();
    this.store.set({ text });
  }

  make(model, tokens = [], auto = false) {
    const id = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("");
    this.open(newText({ id, model, now: Date.now(), tokens, auto }));
  }

  /** Replaces the open text, and `also` other values; `kind` makes it a step that can be taken back. */
  change(text, kind = null, also = {}) {
    const before = this.text;
    if (kind && before?.id === text.id) {
      this.histories.set(text.id, remembered(this.histories.get(text.id) ?? noHistory, before, kind, Date.now()));
      text = { ...text, changed: Date.now() };
    }
    this.store.set({ text, ...also });
    this.later();
  }

  undo() {
    this.travel(undone);
  }

  redo() {
    this.travel(redone);
  }

  travel(way) {
    const { text } = this;
    const there = text && way(this.histories.get(text.id) ?? noHistory, text);
    if (!there) return;
    this.histories.set(text.id, there.history);
    this.store.set({ text: { ...there.text, changed: Date.now() } });
    this.later();
  }

  can() {
    const { past, future } = this.histories.get(this.text?.id) ?? noHistory;
    return { undo: past.length > 0, redo: future.length > 0 };
  }

  /** Changes another field of any text: its name, its star. */
  async describe(id, fields) {
    if (this.text?.id === id) return this.change({ ...this.text, ...fields, auto: false });
    const text = { ...this.store.get("texts").find((one) => one.id === id), ...fields };
    await this.write(text);
  }

  async remove(id) {
    clearTimeout(this.timer);
    this.timer = null;
    const gone = this.text?.id === id ? this.text : this.store.get("texts").find((one) => one.id === id);
    const texts = this.store.get("texts").filter((one) => one.id !== id);
    this.store.set({ texts, gone, ...(this.text?.id === id ? { text: null } : {}) });
    await this.database.drop("texts", id).catch(() => {});
  }

  /** Brings back the text that was deleted last. */
  async restore() {
    const gone = this.store.get("gone");
    if (!gone) return;
    this.store.set({ gone: null, text: gone });
    await this.write(gone);
  }

  async load(file) {
    const id = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("");
    const text = fromFile(await file.text(), id, Date.now());
    await this.write(text);
    this.open(text);
  }

  later() {
    const size = this.text ? this.text.nodes.length * lengthOf(current(this.text).tokens) : 0;
    const wait = SOON * Math.min(10, 1 + size / 1000); // what is kept is copied whole, which a long text makes felt
    this.timer ??= setTimeout(() => this.keepNow(), wait);
  }

  keepNow() {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const { text } = this;
    if (text && !text.auto && (words(text) || text.nodes.length > 1)) this.write(text);
  }

  async write(text) {
    const others = this.store.get("texts").filter((one) => one.id !== text.id);
    this.store.set({ texts: [text, ...others].sort((a, b) => b.changed - a.changed) });
    try {
      await this.database.put("texts", text);
      if (this.store.get("unkept")) this.store.set({ unkept: false });
    } catch {
      this.store.set({ unkept: true });
    }
  }
}
