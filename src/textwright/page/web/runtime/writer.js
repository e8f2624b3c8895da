// A model with its tokenizer in the browser: generates, and computes activations.

import { Cursor, makeRuntime } from "./model.js";
import { Sampler, logProbabilities, ranked } from "./sampling.js";
import { StopFilter } from "./stopping.js";
import { bytesOf, readTensors } from "./tensors.js";
import { Tokenizer } from "./tokenizer.js";

const SLICE = 12; // milliseconds of work before the event loop gets its turn

export class Writer {
  /** data: from `page/packing.py`; weights: their bytes in base64. */
  constructor(data, weights) {
    this.name = data.name;
    this.config = data.config;
    this.data = data;
    this.tokenizer = new Tokenizer(data.tokenizer);
    this.runtime = makeRuntime(data.config, readTensors(data.tensors, bytesOf(weights)));
  }

  /** A cursor at the start of a text. */
  cursor() {
    return new Cursor(this.runtime);
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

  /**
   * Continue `prompt`: yields events {kind: "prompt" | "token" | "end"}, as `api.write` does.
   *
   * settings: maxTokens, temperature, topK, topP, minP, repetitionPenalty, stop, seed.
   */
  async *write(prompt, settings, signal) {
    const pause = pacer(signal);
    const { ids, warnings, marks } = this.encode(prompt);
    const cursor = this.cursor();
    // the first token is predicted from what an empty prompt begins with
    const before = this.cursor().read(this.data.start.at(-1));
    const decode = this.tokenizer.stream();
    let logits = before;
    const read = [];
    for (const [place, id] of ids.entries()) {
      if (place >= marks) read.push(this.token(id, logits, decode(id)));
      logits = cursor.read(id);
      await pause();
    }
    if (marks && read.length && !/^\s/.test(prompt)) read[0].text = read[0].text.trimStart();
    yield { kind: "prompt", tokens: read, warnings };
    const sampler = new Sampler(settings, settings.seed, this.data.suppressed, ids);
    const stops = new StopFilter(settings.stop ?? []);
    let reason = "length";
    for (let count = 0; count < settings.maxTokens; count++) {
      const id = sampler.draw(logits);
      if (this.data.ends.includes(id)) {
        reason = "stop";
        break;
      }
      const token = this.token(id, logits, decode(id));
      token.text = stops.push(token.text);
      if (token.text) yield { kind: "token", token };
      if (stops.stopped) {
        reason = "stop";
        break;
      }
      if (count + 1 < settings.maxTokens) logits = cursor.read(id);
      await pause();
    }
    const rest = stops.stopped ? "" : stops.flush() + decode(null);
    if (rest) yield { kind: "token", token: { text: rest, shown: rest, logprob: null, top: [] } };
    yield { kind: "end", reason, seed: settings.seed, warnings };
  }

  token(id, logits, text) {
    const scores = logProbabilities(logits);
    const shown = this.tokenizer.texts;
    const top = ranked(scores, 10).map((other) => ({ text: shown[other], logprob: scores[other] }));
    return { id, text, shown: shown[id], logprob: scores[id], top };
  }

  /** Activations and attention over a text: see `api.look`. */
  async look(text, signal) {
    const pause = pacer(signal);
    const { ids, warnings, marks } = this.encode(text);
    const cursor = this.cursor();
    const decode = this.tokenizer.stream();
    const attends = this.runtime.blockSize !== null;
    const kept = attends ? ids.slice(0, this.runtime.blockSize) : ids;
    let logits = this.cursor().read(this.data.start.at(-1));
    const tokens = [];
    const layers = [];
    for (const [place, id] of kept.entries()) {
      if (place < marks) tokens.push({ id, text: "", shown: this.tokenizer.texts[id], logprob: null, top: [] });
      else tokens.push(this.token(id, logits, decode(id)));
      const weights = attends ? Array.from({ length: this.config.num_layers }, () => []) : null;
      logits = cursor.read(id, weights);
      (weights ?? this.runtime.units(cursor.state)).forEach((seen, layer) => (layers[layer] ??= []).push(seen));
      await pause();
    }
    return { kind: attends ? "attention" : "units", tokens, layers, warnings, cut: kept.length < ids.length };
  }
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
