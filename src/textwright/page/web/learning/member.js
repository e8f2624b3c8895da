// What one worker does of a training: the gradients of its shards, and the update of its units.
//
// A batch is cut into shards, as training/loop/shards.py cuts it. Into how many is part of the recipe,
// how many workers learn them is not: gradients are added in the order of the shards, and their norm
// in the order of the units, so that one worker and several make the same bytes. Each worker has all
// weights; each unit of the parameters is updated by one, who tells the others.

import { dropoutKey, freshStarts, makeBatches } from "./batches.js";
import { GPT } from "./gpt.js";
import { initialWeights } from "./initial.js";
import { LSTM } from "./lstm.js";
import { owners, parametersOf, shardsOf, unitsOf } from "./parameters.js";
import { rateFactor } from "./schedule.js";
import { Updates } from "./updates.js";
import { Engine } from "./wasm.js";

export class Member {
  /** recipe, tokens, tensors, weights, step: as `Learner.open` takes them. */
  constructor(module, team, { recipe, tokens, tensors, weights, step }) {
    const { model: config, training: settings } = recipe;
    Object.assign(this, { config, settings, team, step, course: recipe.course, factor: 1 });
    this.engine = new Engine(module);
    this.parameters = parametersOf(config);
    this.weights = this.engine.room(this.parameters.size);
    this.batches = makeBatches(config, tokens, settings.batch_size, settings.seed);
    this.units = unitsOf(this.parameters, settings);
    this.owner = owners(this.units, team.ports.length);
    this.own = this.ownedBy(team.index);
    this.updates = new Updates(this.engine, this.own, this.weights, settings);
    this.spare = []; // buffers that others have given back, and those of others that are read
    this.used = team.ports.map(() => []);
    this.openShards();
    this.begin(tensors, weights);
  }

  ownedBy(worker) {
    return this.units.filter((unit, place) => this.owner[place] === worker);
  }

  /** The shards that this worker learns, each with gradients and a carried state of its own. */
  openShards() {
    const { batch_size: samples } = this.settings;
    const shards = shardsOf(this.config, this.settings);
    const cut = (number) => Math.floor((samples * number) / shards);
    this.shardWorker = Array.from({ length: shards }, (_, number) => Math.floor((number * this.team.ports.length) / shards));
    this.shards = [];
    const models = new Map();
    for (let number = 0; number < shards; number++) {
      if (this.shardWorker[number] !== this.team.index) continue;
      const [first, count] = [cut(number), cut(number + 1) - cut(number)];
      if (!models.has(count)) models.set(count, this.makeModel(count, this.config.block_size));
      const model = models.get(count);
      this.shards.push({ number, first, count, model, state: model.initialState(), gradients: this.engine.room(this.parameters.size) });
    }
    this.summed = shards > 1 ? this.engine.room(this.parameters.size) : this.shards[0].gradients;
  }

  /** A model of the weights here that reads so many texts side by side. */
  makeModel(samples, time) {
    const place = (name) => this.weights + 4 * this.parameters.names[name].at;
    return new (this.config.family === "gpt" ? GPT : LSTM)(this.engine, this.config, place, samples, time);
  }

  /** Fresh weights of the seed, those of another training, or all of a checkpoint. */
  begin(tensors, weights) {
    const fresh = tensors || weights ? null : initialWeights(this.config, this.settings.seed);
    for (const { name, stored, at, count } of this.parameters.list) {
      const found = fresh ? fresh[name] : (tensors ? tensors[`model/${name}`] : weights[stored])?.data;
      if (found?.length !== count) throw new Error("these weights don't fit the model: {name}", { cause: { name: tensors ? name : stored } });
      this.engine.floats(this.weights + 4 * at, count).set(found);
    }
    if (!tensors) return;
    const named = (name) => {
      if (!tensors[name]) throw new Error("this checkpoint doesn't fit the model: {name} is missing", { cause: { name } });
      return tensors[name].data;
    };
    this.updates.load((name) => named(`optimizer/${name}`), named("optimizer/0.0.step")[0]);
    for (const { first, count, state } of this.shards) {
      for (const name of Object.keys(state)) {
        const all = tensors[`state/${name}`]?.data;
        const width = state[name].length / count;
        if (all) state[name].set(all.subarray(first * width, (first + count) * width));
      }
    }
  }

  /** One step; the loss of its batch. `more`: a flag that the first worker tells the others, into `this.more`. */
  async learn(more) {
    const shares = this.shards.map((shard) => this.learnShard(shard));
    await this.addUp();
    const squares = Float64Array.from(this.own, ({ at, count }) => this.engine.call.squared_norm(count, this.summed + 4 * at));
    const told = await this.exchange(() => ({ squares: squares.slice(), losses: Float64Array.from(shares) }));
    this.updates.apply(this.summed, this.clip(told), this.factor * rateFactor(this.step, this.settings, this.course));
    await this.share(more);
    this.step++;
    return told.flatMap(({ losses }) => Array.from(losses)).reduce((sum, loss) => sum + loss, 0);
  }

  /** The gradients of a shard; its share of the loss. */
  learnShard({ first, count, model, state, gradients }) {
    const { seed, batch_size: samples, fresh_starts: fresh } = this.settings;
    const { step } = this;
    const starts = this.batches.resetsState(step) ? null : freshStartsOf(seed, step, samples, fresh);
    for (const carried of Object.values(state)) {
      const width = carried.length / count;
      for (let i = 0; i < count; i++) if (!starts || starts[first + i]) carried.fill(0, i * width, (i + 1) * width);
    }
    const rows = Array.from({ length: count }, (_, i) => this.batches.row(step, first + i));
    const keys = this.config.dropout ? rows.map((_, i) => dropoutKey(seed, step, first + i)) : null;
    const share = 1 / this.counted();
    this.engine.floats(gradients, this.parameters.size).fill(0);
    const loss = model.forward(rows, state, share, keys);
    model.backward((name) => gradients + 4 * this.parameters.names[name].at);
    return loss * share;
  }

  /** How many tokens of the step's batch count in the loss. */
  counted() {
    const { batch_size: samples } = this.settings;
    let count = 0;
    for (let sample = 0; sample < samples; sample++) {
      const row = this.batches.row(this.step, sample);
      for (let i = 1; i < row.length; i++) if (row[i] >= 0) count++;
    }
    return Math.max(1, count);
  }

  /** Hands each unit's gradients to its owner, who adds up those of all shards in their order. */
  async addUp() {
    if (this.shardWorker.length === 1) return;
    const arrays = (to) => this.shards.map(({ gradients }) => this.gathered(this.ownedBy(to), gradients));
    const told = await this.exchange((to) => ({ gradients: to === this.team.index ? [] : arrays(to) }));
    let mine = 0;
    this.shardWorker.forEach((worker, number) => {
      if (worker === this.team.index) this.add(number, this.shards[mine++].gradients, null);
      else {
        const gradients = told[worker].gradients.shift();
        this.add(number, 0, gradients);
        this.used[worker].push(gradients);
      }
    });
  }

  /** `Team.exchange`, by which buffers go back to whom they came from: new ones each step are garbage of megabytes. */
  async exchange(message) {
    const told = await this.team.exchange((to) => ({ ...message(to), back: this.used[to].splice(0) }));
    told.forEach(({ back }) => this.spare.push(...back));
    return told;
  }

  /** Adds a shard's gradients of the own units: those at an address, or those of another worker. */
  add(number, gradients, others) {
    let from = 0;
    for (const { at, count } of this.own) {
      const sums = this.engine.floats(this.summed + 4 * at, count);
      const more = others ? others.subarray(from, (from += count)) : this.engine.floats(gradients + 4 * at, count);
      if (!number) sums.set(more);
      else for (let i = 0; i < count; i++) sums[i] += more[i];
    }
  }

  /** The numbers of some units, one after the other, of all that begin at an address. */
  gathered(units, begin) {
    const length = units.reduce((sum, { count }) => sum + count, 0);
    const place = this.spare.findIndex((one) => one.length === length);
    const [all] = place < 0 ? [new Float32Array(length)] : this.spare.splice(place, 1);
    let to = 0;
    for (const { at, count } of units) {
      all.set(this.engine.floats(begin + 4 * at, count), to);
      to += count;
    }
    return all;
  }

  /** What gradients are multiplied by so that their norm isn't above the limit. */
  clip(told) {
    const limit = this.settings.gradient_clip;
    if (!limit) return 1;
    const places = told.map(() => 0);
    const square = this.owner.reduce((sum, worker) => sum + told[worker].squares[places[worker]++], 0);
    return Math.min(1, limit / (Math.sqrt(square) + 1e-6));
  }

  /** Tells the others the new weights of the own units, and takes theirs. */
  async share(more) {
    const told = await this.exchange((to) => ({ more, weights: to === this.team.index ? null : this.gathered(this.own, this.weights) }));
    told.forEach(({ weights }, worker) => {
      if (!weights) return;
      let from = 0;
      for (const { at, count } of this.ownedBy(worker)) this.engine.floats(this.weights + 4 * at, count).set(weights.subarray(from, (from += count)));
      this.used[worker].push(weights);
    });
    this.more = told[0].more;
  }

  /** All that a checkpoint holds of what this worker keeps; the first one's has the weights too. */
  tensors() {
    const found = this.team.index ? {} : Object.fromEntries(this.parameters.list.map((one) => [`model/${one.name}`, this.parameter(one)]));
    for (const [name, tensor] of Object.entries(this.updates.tensors())) found[`optimizer/${name}`] = tensor;
    return { tensors: found, states: this.shards.map(({ state }) => state) };
  }

  parameter({ shape, at, count }) {
    return { shape, data: this.engine.floats(this.weights + 4 * at, count).slice() };
  }

  /** The weights, as model.safetensors names them. */
  stored() {
    return Object.fromEntries(this.parameters.list.map((one) => [one.stored, this.parameter(one)]));
  }
}

function freshStartsOf(seed, step, samples, share) {
  return share ? freshStarts(seed, step, samples, share) : new Array(samples).fill(false);
}
