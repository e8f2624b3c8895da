// The one place for what the page knows: plain values by name, and who wants to hear of them.

export class Store {
  constructor(values) {
    this.values = values;
    this.listeners = new Set();
  }

  get(name) {
    return this.values[name];
  }

  /** Changes values; each listener is told once, where a value of its own is another. */
  set(changes) {
    const changed = new Set(Object.keys(changes).filter((name) => !Object.is(this.values[name], changes[name])));
    if (!changed.size) return;
    this.values = { ...this.values, ...changes };
    for (const listener of [...this.listeners]) {
      if (listener.names.some((name) => changed.has(name))) listener.tell(this.values);
    }
  }

  /** Calls `tell(values)` now and whenever one of `names` changes; returns how to end that. */
  on(names, tell) {
    const listener = { names, tell };
    this.listeners.add(listener);
    tell(this.values);
    return () => this.listeners.delete(listener);
  }
}
