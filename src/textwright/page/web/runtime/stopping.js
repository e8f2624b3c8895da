// Stop strings in a stream of text, no part of which is passed on; as `generation/continuation.py`.

export class StopFilter {
  constructor(stops) {
    this.stops = stops.filter(Boolean);
    this.held = "";
    this.stopped = false;
  }

  /** Adds `piece`; returns the text that can't be part of a stop string any more. */
  push(piece) {
    const text = this.held + piece;
    const found = this.stops
      .map((stop) => ({ start: text.indexOf(stop), end: text.indexOf(stop) + stop.length }))
      .filter(({ start }) => start >= 0)
      .sort((a, b) => a.end - b.end || a.start - b.start);
    this.stopped = found.length > 0;
    const cut = this.stopped ? found[0].start : this.possibleStart(text);
    this.held = text.slice(cut);
    return text.slice(0, cut);
  }

  /** At the end of the text: the rest, which turned out to be no stop string. */
  flush() {
    const text = this.held;
    this.held = "";
    return text;
  }

  possibleStart(text) {
    const longest = Math.max(0, ...this.stops.map((stop) => stop.length - 1));
    for (let start = Math.max(0, text.length - longest); start < text.length; start++) {
      if (this.stops.some((stop) => stop.startsWith(text.slice(start)))) return start;
    }
    return text.length;
  }
}
