// The runtime for each family, and a cursor that reads a text with it.

import { GPT, Transformer } from "./attention.js";
import { Recurrent } from "./recurrent.js";

const FAMILIES = { gpt: GPT, transformer: Transformer, lstm: Recurrent, gru: Recurrent, rnn: Recurrent };

/** The runtime for a config; `tensors` by their names in `model.safetensors`. */
export function makeRuntime(config, tensors) {
  return new FAMILIES[config.family](config, tensors);
}

/** A runtime like another in which units are held at values: [{layer, unit, value}], as `generation/steering.py` has it. */
export function steered(runtime, steer) {
  const holds = steer.reduce((by, { layer, ...one }) => ({ ...by, [layer]: [...(by[layer] ?? []), one] }), {});
  return Object.assign(Object.create(Object.getPrototypeOf(runtime)), runtime, { holds });
}

/**
 * A position in a text: reads tokens, returns the logits of the next one, a companion's beside them.
 *
 * When the window of B tokens is full, its last B // 2 tokens are encoded again from position 0, as
 * in all runtimes of textwright.
 */
export class Cursor {
  constructor(runtime, companion = null) {
    this.runtime = runtime;
    this.companion = companion;
    this.state = runtime.initialState();
    this.counts = companion?.initialState();
    this.window = [];
  }

  /** The logits after `token`; attention weights go to `weights` and `stream` (see `Attention.step`). */
  read(token, weights = null, stream = null) {
    const block = this.runtime.blockSize;
    if (block !== null) {
      if (this.window.length === block) this.turnPage(block);
      this.window.push(token);
    }
    const logits = this.runtime.step(token, this.state, weights, stream);
    this.companion?.read(token, this.counts);
    this.companion?.mix(this.counts, logits);
    return logits;
  }

  /** An independent cursor at the same position. */
  copy() {
    const own = { state: structuredClone(this.state), window: [...this.window], counts: this.counts?.slice() };
    return Object.assign(new Cursor(this.runtime, this.companion), own);
  }

  turnPage(block) {
    this.window = this.window.slice(block - Math.floor(block / 2));
    this.state.held = 0;
    this.counts = this.companion?.initialState();
    for (const token of this.window) {
      this.runtime.step(token, this.state);
      this.companion?.read(token, this.counts);
    }
  }
}
