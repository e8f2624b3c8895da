// Which elements dropout keeps: a hash of the sample's key, of the layer's place and of the element;
// as textwright/models/base.py.

const mixed = (x) => {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
};

/** The dropout of a model: `probability`, and room for the keys of `samples`. */
export class Dropout {
  constructor(engine, probability, samples) {
    this.engine = engine;
    this.samples = samples;
    this.room = engine.room(samples);
    this.least = Math.floor(probability * 2 ** 31);
    this.scale = 1 / (1 - probability);
    this.keys = null;
  }

  /** The arguments of a kernel (keys, least, scale) for the layer at a place; without keys nothing is dropped. */
  at(place) {
    if (!this.keys) return [0, 0, 1];
    const own = this.keys.map((key) => mixed((key + Math.imul(place, 0x3c6ef372)) | 0));
    this.engine.integers(this.room, this.samples).set(own);
    return [this.room, this.least, this.scale];
  }
}
