// A training in a tab: learn a slice; now and then look, keep, write a sample; stop when it is time.
// The loop of `training/loop/trainer.py`: a closed tab loses the steps since what was kept last, and
// going on gives what never having stopped would have given.

import { t } from "../words.js";
import { finalLook } from "./finallook.js";
import { Learner } from "./learner.js";
import { prepareTraining, tokenized } from "./prepare.js";
import { KEPT } from "./plan.js";
import { keptOf } from "./readrun.js";
import { metricsRow, resultOf } from "./records.js";
import { runFiles } from "./runfolder.js";
import { Show } from "./show.js";
import { Writing, dataOf } from "./writing.js";

const SLICE = 200; // milliseconds of learning between two looks at what was asked
const ENDED = ["finished", "stopped early", "diverged"];
const FRESH = { step: 0, seconds: 0, best_step: 0, best_loss: null, evaluations_since_best: 0, leg_loss: null, loss_sum: 0, loss_count: 0 };

export class TabTraining {
  /** A new training: see `prepareTraining`. tell(words): what is being done. */
  static async prepare(asked, tools, tell = () => {}) {
    const { kept, data, weights, notes } = await prepareTraining(asked, tools, tell);
    return new TabTraining(kept, data, tools, weights, notes);
  }

  /** What was kept, or read from a run folder by `keptOf`: it goes on exactly. */
  static async reopen(kept, tools) {
    const { validation_fraction: fraction } = kept.settings.corpus;
    const data = tokenized(kept.text, t("the text"), { fraction, tokens: kept.tokens, grows: false });
    return new TabTraining(kept, data, tools, null, []);
  }

  /** The training of a run that `readRun` gave, with the text of a file where it doesn't bring its own. */
  static goOn(run, text, tools) {
    return TabTraining.reopen(keptOf(run, text), tools);
  }

  constructor(kept, data, tools, start, notes) {
    // all of them where it wasn't measured, or is on a machine that has fewer
    const workers = Math.min(tools.workers ?? 1, kept.workers ?? Infinity);
    Object.assign(this, { kept: { ...kept }, data, tools: { ...tools, workers }, start, notes, learner: null, asked: null, wanted: [] });
    this.restore();
    this.show = new Show(this);
    this.writing = new Writing(this);
    this.keep = async () => {};
    this.onevent = () => {};
  }

  get settings() {
    return this.kept.settings;
  }

  get plan() {
    const { settings, config } = this.kept;
    const { data: text, plan, training } = settings;
    return {
      ...plan, family: config.family, config, characters: text.train_characters + text.validation_characters, tokens: text.train_tokens,
      validation_tokens: text.validation_tokens, vocabulary: text.vocab_size, seconds: plan.expected_seconds, dropout: config.dropout, seed: training.seed,
    };
  }

  get shown() {
    return this.show.shown;
  }

  get course() {
    const { legs = [], steps } = this.settings.plan;
    return legs.length ? legs.map((leg) => [leg.begin, leg.steps]) : [[0, steps]];
  }

  /** Learns until it is finished, paused or stopped, and may be called again after a pause. */
  run() {
    if (!this.running && this.asked === "pause") this.asked = null;
    this.running ??= this.learn().finally(() => (this.running = null));
    return this.running;
  }

  async learn() {
    if (ENDED.includes(this.settings.result.status)) return;
    this.show.begin();
    try {
      await this.open();
      if (!this.metrics.length) {
        await this.evaluate();
        await this.save();
      }
      while (!this.done && !this.asked) await this.slice();
      if (this.kept.checkpoint?.state.step !== this.state.step) await this.save();
      await this.writing.open;
      await this.end();
    } catch (error) {
      if (this.closed) return;
      this.show.fail(error);
      this.release();
      throw error;
    } finally {
      this.wanted.splice(0).forEach((resolve) => resolve());
    }
  }

  /** Takes up what was kept last; what came after the checkpoint is drawn anew. */
  restore() {
    const { checkpoint, metrics, samples, weights, before } = this.kept;
    const { steps, eval_every: every } = this.settings.plan;
    this.state = { ...FRESH, ...checkpoint?.state };
    const { step } = this.state;
    const begins = this.course.map(([begin]) => begin).filter((begin) => begin <= step);
    const looked = step >= steps ? step : Math.max(step - (step % every), ...begins);
    const isSo = (record) => Boolean(checkpoint) && record.step <= looked;
    [this.metrics, this.samples] = [metrics.filter(isSo), samples.filter(isSo)];
    // shown until the next look: that at a stop, which never having stopped would not have had
    this.extra = metrics.filter((row) => checkpoint && row.step > looked && row.step <= step);
    this.best = before ?? weights;
  }

  async open() {
    if (this.learner) return;
    this.restore();
    this.saved = performance.now();
    const { config, checkpoint, factor } = this.kept;
    const recipe = { model: config, training: this.settings.training, course: this.course };
    this.learner = await Learner.open({
      recipe, tokens: this.data.train, tensors: checkpoint?.tensors ?? null, weights: checkpoint ? null : this.start, step: this.state.step, ...this.tools,
    });
    this.start = null;
    const settings = { ...this.settings, result: { status: "running" } };
    Object.assign(this.kept, { settings, metrics: this.metrics, samples: this.samples, weights: this.best, before: null });
    if (factor !== 1) await this.learner.setRate(factor);
  }

  /** As many steps as a slice of time holds, and what is due after them. */
  async slice() {
    const { state } = this;
    const { steps, eval_every: every, checkpoint_every: keepEvery } = this.settings.plan;
    const next = (pace) => pace - (state.step % pace);
    const most = Math.min(next(every), next(keepEvery), steps - state.step);
    const { losses } = await this.learner.steps({ milliseconds: SLICE, most });
    for (const loss of losses) {
      if (!Number.isFinite(loss)) return this.diverged(state.step + 1);
      state.step++;
      state.loss_sum += loss;
      state.loss_count++;
      this.show.learned(state.step, loss);
    }
    if (state.step === steps || state.step % every === 0) await this.evaluate();
    const late = performance.now() - this.saved > 1000 * KEPT;
    if (late || this.wanted.length || state.step % keepEvery === 0) await this.save();
    this.writing.soon();
    this.tell("step");
  }

  get done() {
    const { patience } = this.settings.training;
    return this.state.step >= this.settings.plan.steps || this.failed || (patience > 0 && this.state.evaluations_since_best >= patience);
  }

  async evaluate() {
    const { state, settings, data } = this;
    const weights = await this.learner.weights();
    const first = state.step ? null : await this.writing.whole(weights); // something to see at once
    const begun = performance.now();
    const { loss, count } = await this.learner.evaluate(data.validation, { limit: settings.plan.eval_tokens });
    this.perToken = (performance.now() - begun) / 1000 / count;
    if (!Number.isFinite(loss)) return this.diverged(state.step);
    const told = first ?? (await this.writing.whole(weights));
    const best = state.best_loss === null || loss < state.best_loss;
    if (best) Object.assign(state, { best_step: state.step, best_loss: loss });
    if (best) this.best = weights;
    const better = state.leg_loss === null || loss < state.leg_loss;
    state.evaluations_since_best = better ? 0 : state.evaluations_since_best + 1;
    if (better) state.leg_loss = loss;
    this.extra = [];
    this.metrics.push(metricsRow(this, loss, best));
    this.samples.push({ step: state.step, prompt: told.prompt, text: told.text });
    Object.assign(state, { loss_sum: 0, loss_count: 0 });
    this.tell("evaluated");
  }

  /** Hands all that going on needs to `keep`. */
  async save() {
    if (this.failed) return;
    this.state.seconds = this.show.seconds;
    const checkpoint = { state: { ...this.state }, tensors: await this.learner.tensors() };
    await this.handOver({ checkpoint });
    this.saved = performance.now();
    this.wanted.splice(0).forEach((resolve) => resolve());
  }

  async handOver(parts) {
    Object.assign(this.kept, { metrics: [...this.metrics], samples: [...this.samples], losses: this.show.losses, weights: this.best, ...parts });
    try {
      await this.keep({ ...this.kept });
    } catch ({ message: reason }) {
      this.notes = [t("what is learned can't be kept in this browser ({reason}); download it before you leave", { reason })];
    }
    this.tell("kept");
  }

  diverged(step) {
    this.failed = t("the loss is no number any more at step {step}: the training has diverged; begin anew at half the learning rate. What was best before is kept", { step });
  }

  async end() {
    const { state, settings } = this;
    if (!this.done && this.asked === "pause") return this.show.end("paused");
    this.asked = null;
    let status = state.step >= settings.plan.steps ? "finished" : "stopped early";
    if (this.failed) status = "diverged";
    else if (!this.done) status = "interrupted";
    // after what is kept, which leaves it out: going on is exact, and from the weights of before
    let before = null;
    if (status === "interrupted" && state.step && !this.metrics.some((row) => row.step > 0)) {
      before = this.best;
      await this.evaluate();
    }
    const whole = status === "finished" || status === "stopped early" ? await finalLook(this) : null;
    const result = resultOf(this, status, whole);
    await this.handOver({ settings: { ...settings, result }, before });
    this.release();
    this.show.end({ interrupted: "stopped", diverged: "failed" }[status] ?? "finished", this.failed);
  }

  pause() {
    this.asked ??= "pause";
    this.measuring?.abort();
  }

  /** Ends it before its time; it can be gone on with later all the same. */
  stop() {
    this.asked = "stop";
    this.measuring?.abort();
    return this.run();
  }

  /** Multiplies the rates of the plan from the next step on; 1 is the plan's. */
  async setRate(factor) {
    this.kept.factor = factor;
    this.mark("rate", factor);
    await this.learner?.setRate(factor);
  }

  /** Of the samples between evaluations. */
  setTemperature(temperature) {
    this.kept.temperature = temperature;
    this.mark("temperature", temperature);
    this.writing.due = 0;
  }

  mark(what, value) {
    this.kept.marks = [...this.kept.marks, { step: this.state.step, what, value }];
    this.tell("marked");
  }

  /** The best weights so far, or, before any look, those as they are now: {data, tensors}. */
  async model() {
    const { learner, kept, state, best } = this;
    const tensors = learner ? (state.best_step > 0 ? best : await learner.weights()) : kept.weights;
    return { data: dataOf(this.kept, this.tools.tables), tensors };
  }

  /** The run folder as it stands: {path: Uint8Array}. */
  async files() {
    if (this.running && !this.failed) await new Promise((resolve) => this.wanted.push(resolve));
    const { settings } = this;
    const result = settings.result.status === "running" ? resultOf(this, "interrupted", null) : settings.result;
    return runFiles({ ...this.kept, settings: { ...settings, result } });
  }

  tell(kind) {
    this.onevent({ kind });
  }

  /** Lets its workers go, in the middle of what they do. */
  close() {
    this.closed = true;
    this.release();
  }

  release() {
    this.learner?.close();
    this.learner = null;
  }
}
