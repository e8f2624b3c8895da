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
 * A position in a text: reads tokens, returns the logits of the next one.
 *
 * When the window of B tokens is full, its last B // 2 tokens are encoded again from position 0, as
 * in all runtimes of textwright.
 */
export class Cursor {
  constructor(runtime) {
    this.runtime = runtime;
    this.state = runtime.initialState();
    this.window = [];
  }

  /** The logits after `token`; attention weights go to `weights` and `stream` (see `Attention.step`). */
  read(token, weights = null, stream = null) {
    const block = this.runtime.blockSize;
    if (block !== null) {
      if (this.window.length === block) this.turnPage(block);
      this.window.push(token);
    }
    return this.runtime.step(token, this.state, weights, stream);
  }

  /** An independent cursor at the same position. */
  copy() {
    return Object.assign(new Cursor(this.runtime), { state: structuredClone(this.state), window: [...this.window] });
  }

  turnPage(block) {
    this.window = this.window.slice(block - Math.floor(block / 2));
    this.state.held = 0;
    for (const token of this.window) this.runtime.step(token, this.state);
  }
}
