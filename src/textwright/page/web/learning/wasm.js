// The compiled engine and its memory: room is taken from the end and given back in reverse.

const PAGE = 65536;

/**
 * The module of kernels/learning for this browser, from its bytes or a WebAssembly.Module: the one
 * inside, compiled for newer browsers, where this is one.
 */
export async function compiled(wasm) {
  const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(wasm);
  const [relaxed] = WebAssembly.Module.customSections(module, "relaxed");
  return relaxed && WebAssembly.validate(relaxed) ? WebAssembly.compile(relaxed) : module;
}

export class Engine {
  /** `module`: as `compiled` gives it. `call` has its functions. */
  constructor(module) {
    const { memory, ...call } = new WebAssembly.Instance(module).exports;
    this.memory = memory;
    this.call = call;
    this.end = memory.buffer.byteLength;
  }

  /** The address of room for so many numbers of 4 bytes, all 0. */
  room(count) {
    const at = this.end;
    this.end += Math.ceil((4 * count) / 64) * 64;
    const missing = this.end - this.memory.buffer.byteLength;
    if (missing > 0) this.grow(Math.ceil(missing / PAGE));
    this.floats(at, count).fill(0);
    return at;
  }

  grow(pages) {
    try {
      this.memory.grow(pages);
    } catch {
      throw new Error("this browser has too little memory for this model; take a smaller one");
    }
  }

  /** Gives back all that was taken since `end` was this. */
  release(end) {
    this.end = end;
  }

  /** What lies at an address. Taking room makes older views of the memory void. */
  floats(at, count) {
    return new Float32Array(this.memory.buffer, at, count);
  }

  integers(at, count) {
    return new Int32Array(this.memory.buffer, at, count);
  }
}
