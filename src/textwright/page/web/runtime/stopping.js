// Stop strings in a stream of text, of which no part may show; as `generation/stopping.py`.

export class StopFilter {
  constructor(stops) {
    this.stops = stops.filter(Boolean);
    this.held = "";
    this.stopped = false;
  }

  /** The text that is certain with one more `piece`. */
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

  /** At the end of the text: what was held back for nothing. */
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
