// The update of one step, of those units that this worker owns: AdamW and Muon, with the same state as
// textwright/training/optim keeps, so that a checkpoint of one goes on in the other.

const sides = ({ rows, columns }) => [Math.min(rows, columns), Math.max(rows, columns)];

/** units: as `unitsOf` gives them, the own ones; `weights`: where all parameters begin. */
export class Updates {
  constructor(engine, units, weights, settings) {
    Object.assign(this, { engine, units, weights, settings, step: 0 });
    const rooms = units.filter(({ muon }) => muon).map((unit) => engine.call.muon_room(...sides(unit), unit.block));
    this.room = engine.room(Math.max(0, ...rooms));
    this.kept = units.map(({ muon, count }) => (muon ? [engine.room(count)] : [engine.room(count), engine.room(count)]));
  }

  /** Updates all by their gradients, which begin at `gradients`, multiplied by `clip`; factor: of the learning rates. */
  apply(gradients, clip, factor) {
    const { call } = this.engine;
    const { beta1, beta2, momentum } = this.settings;
    this.step++;
    const rate = this.settings.learning_rate * factor;
    const matrixRate = this.settings.matrix_learning_rate * factor;
    const size = rate / (1 - beta1 ** this.step);
    const root = Math.sqrt(1 - beta2 ** this.step);
    this.units.forEach((unit, place) => {
      const { at, count, rows, columns, block, muon, decay } = unit;
      const gradient = gradients + 4 * at;
      const weight = this.weights + 4 * at;
      const [mean, square] = this.kept[place];
      if (clip !== 1) call.scale(count, clip, gradient);
      if (muon) {
        const scaled = matrixRate * Math.sqrt(Math.max(1, rows / columns));
        call.muon(...sides(unit), block, rows > columns, momentum, 1 - momentum, 1 - matrixRate * decay, scaled,
          gradient, columns, mean, columns, weight, this.room);
      } else {
        call.adamw(count, 1 - rate * decay, 1 - beta1, beta2, 1 - beta2, size, root, gradient, mean, square, weight);
      }
    });
  }

  /** The state, {name: {shape, data}}, by its names in a checkpoint. */
  tensors() {
    const found = {};
    this.units.forEach(({ state, shape, count, muon }, place) => {
      const copies = this.kept[place].map((at) => ({ shape, data: this.engine.floats(at, count).slice() }));
      if (muon) {
        found[`${state}.momentum_buffer`] = copies[0];
      } else {
        found[`${state}.step`] = { shape: [], data: Float32Array.of(this.step) };
        [found[`${state}.exp_avg`], found[`${state}.exp_avg_sq`]] = copies;
      }
    });
    return found;
  }

  /** Takes over what `tensors` gave; `tensor(name)` gives one's numbers. `step`: that were done. */
  load(tensor, step) {
    this.step = step;
    this.units.forEach(({ state, count, muon }, place) => {
      const names = muon ? ["momentum_buffer"] : ["exp_avg", "exp_avg_sq"];
      names.forEach((name, part) => this.engine.floats(this.kept[place][part], count).set(tensor(`${state}.${name}`)));
    });
  }
}
