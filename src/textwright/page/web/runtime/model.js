// A model made ready to read, whatever its family, and its place in a text.

import { GPT, Transformer } from "./attention.js";
import { Recurrent } from "./recurrent.js";

const FAMILIES = { gpt: GPT, transformer: Transformer, lstm: Recurrent, gru: Recurrent, rnn: Recurrent };

/** The runtime of a config; tensors by the names in `model.safetensors`. */
export function makeRuntime(config, tensors) {
  return new FAMILIES[config.family](config, tensors);
}

/**
 * A place in a text: reads tokens, tells the logits of the one to come.
 *
 * When the window of B tokens is full and another comes, its last B // 2 tokens are encoded anew
 * from position 0, as in every runtime of textwright.
 */
export class Cursor {
  constructor(runtime) {
    this.runtime = runtime;
    this.state = runtime.initialState();
    this.window = [];
  }

  /** The logits after `token`; `weights` (see `Attention.step`) is for who looks inside. */
  read(token, weights = null) {
    const block = this.runtime.blockSize;
    if (block !== null) {
      if (this.window.length === block) this.turnPage(block);
      this.window.push(token);
    }
    return this.runtime.step(token, this.state, weights);
  }

  turnPage(block) {
    this.window = this.window.slice(block - Math.floor(block / 2));
    this.state.held = 0;
    for (const token of this.window) this.runtime.step(token, this.state);
  }
}
