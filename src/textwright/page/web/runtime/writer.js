// A model with its tokenizer in the browser: generates, and computes activations.

import { packed } from "../state/tokens.js";
import { unpackCompanion } from "./companion.js";
import { Cursor, makeRuntime, steered } from "./model.js";
import { placesOf } from "./places.js";
import { Sampler, logProbabilities, ranked } from "./sampling.js";
import { StopFilter } from "./stopping.js";
import { bytesOf, readTensors } from "./tensors.js";
import { Tokenizer } from "./tokenizer.js";

const SLICE = 12; // milliseconds of work before the event loop gets its turn
const KEEP = 64; // tokens between two states that are kept
const STATES = 48;

export class Writer {
  /** data: from `page/packing.py`; weights: their bytes in base64, or Float32Arrays by name. */
  constructor(data, weights) {
    this.name = data.name;
    this.config = data.config;
    this.data = data;
    this.tokenizer = new Tokenizer(data.tokenizer);
    this.kept = [];
    this.runtime = makeRuntime(data.config, typeof weights === "string" ? readTensors(data.tensors, bytesOf(weights)) : weights);
  }

  /** Once what the run counted is unpacked, where the data has that. */
  async whole() {
    this.unpacking ??= this.data.companion && unpackCompanion(this.data.companion);
    this.companion = (await this.unpacking) ?? null;
    return this;
  }

  /** A cursor at the start of a text; `whole` comes before it. */
  cursor(steer = []) {
    return new Cursor(steer.length ? steered(this.runtime, steer) : this.runtime, this.companion);
  }

  /** {ids, warnings, marks}; the first `marks` ids are the tokens that open a conversation. */
  encode(text) {
    const { start } = this.data;
    if (this.tokenizer.specials) {
      const { ids, warnings } = this.tokenizer.encodeTurn(text);
      return { ids: [...start, ...ids], warnings, marks: start.length };
    }
    const { ids, warnings } = this.tokenizer.encodePrompt(text);
    return { ids: ids.length ? ids : start, warnings, marks: 0 };
  }

  /** Continue `prompt`: yields events as `api.write` does. */
  async *write(prompt, settings, signal) {
    const pause = pacer(signal);
    const { ids, warnings } = this.encode(prompt);
    if (warnings.length) yield { warnings };
    await this.whole();
    const cursor = this.cursor(settings.steer);
    const decode = this.tokenizer.stream();
    let logits = null;
    for (const id of ids) {
      decode(id);
      logits = cursor.read(id);
      await pause();
    }
    const sampler = new Sampler(settings, settings.seed, this.data.suppressed, ids);
    const stops = new StopFilter(settings.stop ?? []);
    let end = "length";
    for (let count = 0; count < settings.maxTokens; count++) {
      const id = sampler.draw(logits);
      if (this.data.ends.includes(id)) {
        end = "stop";
        break;
      }
      const token = this.token(id, logits, decode(id));
      token.text = stops.push(token.text);
      if (token.text) yield { token };
      if (stops.stopped) {
        end = "stop";
        break;
      }
      if (count + 1 < settings.maxTokens) logits = cursor.read(id);
      await pause();
    }
    const rest = stops.stopped ? "" : stops.flush() + decode(null);
    if (rest) yield { token: { text: rest, shown: rest, logprob: null } };
    yield { end };
  }

  /** What the model makes of a text: see `HttpApi.read`. */
  async read({ text, start = 0, following = 0 }, signal) {
    const pause = pacer(signal);
    const { ids, warnings, marks } = this.encode(text);
    const read = text ? ids : [];
    const places = this.places(text, ids, marks);
    await this.whole();
    const first = places.findIndex(({ end }) => end > start);
    let { cursor, count } = this.resume(ids, Math.max(0, first - 1));
    let logits = this.cursor().read(this.data.start.at(-1));
    const tokens = [];
    let carried = 0; // bytes of one character are one token on the page
    for (; count < ids.length; count++) {
      const { start: from, end } = places[count] ?? {};
      if (count < read.length && end > Math.max(start, from)) {
        const { shown, logprob, alts } = this.token(ids[count], logits, "");
        tokens.push({ start: from, end, shown, alts, logprob: logprob + carried });
        carried = 0;
      } else if (from === end && end > start) carried += this.token(ids[count], logits, "").logprob;
      logits = cursor.read(ids[count]);
      if ((count + 1) % KEEP === 0) this.keep(ids, count + 1, cursor);
      await pause();
    }
    const result = { from: tokens[0] ? Math.min(tokens[0].start, start) : start, tokens, warnings };
    if (!following) return result;
    const scores = logProbabilities(logits);
    const next = ranked(scores, following).map((id) => ({ text: this.tokenizer.texts[id], logprob: scores[id] }));
    return { ...result, next, rest: Math.max(0, scores.length - following) };
  }

  /** Where each token is in the text: see `placesOf`; those that open a conversation nowhere. */
  places(text, ids, marks) {
    const decode = this.tokenizer.stream();
    const pieces = ids.slice(marks).map((id) => decode(id));
    const { kind } = this.tokenizer;
    return [...Array(marks).fill({ start: 0, end: 0 }), ...placesOf(text, pieces, kind, (part) => this.tokenizer.reads(part))];
  }

  /** A cursor that has read at most `most` of the ids, as far as a state that was kept reaches. */
  resume(ids, most) {
    const kept = this.kept.find((one) => one.count <= most && one.ids.every((id, index) => id === ids[index]));
    return kept ? { cursor: kept.cursor.copy(), count: kept.count } : { cursor: this.cursor(), count: 0 };
  }

  keep(ids, count, cursor) {
    if (this.kept.some((one) => one.count === count && one.ids.every((id, index) => id === ids[index]))) return;
    this.kept = [{ count, ids: ids.slice(0, count), cursor: cursor.copy() }, ...this.kept].sort((a, b) => b.count - a.count).slice(0, STATES);
  }

  token(id, logits, text) {
    const scores = logProbabilities(logits);
    const shown = this.tokenizer.texts;
    const top = ranked(scores, 10).map((other) => ({ text: shown[other], logprob: scores[other] }));
    return { id, text, shown: shown[id], logprob: scores[id], alts: packed(top) };
  }

  /** Activations and attention over a text: see `api.look`. */
  async look(text, signal) {
    const pause = pacer(signal);
    const { ids, warnings, marks } = this.encode(text);
    await this.whole();
    const cursor = this.cursor();
    const decode = this.tokenizer.stream();
    const attends = this.runtime.blockSize !== null;
    const kept = attends ? ids.slice(0, this.runtime.blockSize) : ids;
    let logits = this.cursor().read(this.data.start.at(-1));
    const [tokens, attention, units] = [[], [], []];
    const gather = (layers, seen) => seen.forEach((one, layer) => (layers[layer] ??= []).push(one));
    for (const [place, id] of kept.entries()) {
      if (place < marks) tokens.push({ id, text: "", shown: this.tokenizer.texts[id], logprob: null });
      else tokens.push(this.token(id, logits, decode(id)));
      const weights = attends ? Array.from({ length: this.config.num_layers }, () => []) : null;
      const stream = [];
      logits = cursor.read(id, weights, stream);
      if (weights) gather(attention, weights);
      gather(units, attends ? stream : this.runtime.units(cursor.state));
      await pause();
    }
    return { tokens, ...(attends ? { attention, ...byPeaks(units) } : { units }), warnings, cut: kept.length < ids.length };
  }
}

/** Each unit divided by its largest value, {units, peaks}. */
function byPeaks(layers) {
  const peaks = layers.map((vectors) => vectors[0].map((_, unit) => Math.max(1e-9, ...vectors.map((vector) => Math.abs(vector[unit])))));
  return { peaks, units: layers.map((vectors, layer) => vectors.map((vector) => vector.map((value, unit) => value / peaks[layer][unit]))) };
}

/** A function to await between steps: yields to the event loop, throws once `signal` is aborted. */
function pacer(signal) {
  let begun = performance.now();
  return async () => {
    if (signal?.aborted) throw new DOMException("stopped", "AbortError");
    if (performance.now() - begun < SLICE) return;
    await new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = resolve;
      channel.port2.postMessage(null);
    });
    begun = performance.now();
  };
}
