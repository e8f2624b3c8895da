// One training of this tab, from its plan to its end: kept in the browser as it goes, told to the page.

import { TabTraining } from "../learning/training.js";
import { hold } from "./holding.js";

const SLOW = 0.6; // of its own first speed, below which it is told
const SLOWLY = 20; // seconds it must last: other things take a processor for a moment, too

export class Lesson {
  /** training: a `TabTraining`; tell(): something changed; database. */
  constructor(training, { database, tell }) {
    Object.assign(this, { database, tell });
    this.name = training.kept.name;
    this.problem = "";
    this.running = this.learning = this.ends = false; // learning: running, and this tab holds it
    this.take(training);
  }

  take(training) {
    Object.assign(this, { training, best: null, stamp: training.kept.stamp });
    training.onevent = () => this.changed();
    training.keep = (kept) => this.keep(kept);
  }

  /** Before it begins. */
  rename(name) {
    const { kept } = this.training;
    this.name = kept.name = kept.settings.run.name = name;
  }

  static async prepare(asked, tools, home, saying) {
    return new Lesson(await TabTraining.prepare(asked, tools, saying), home);
  }

  static async reopen(kept, tools, home) {
    return new Lesson(await TabTraining.reopen(kept, tools), home);
  }

  static async goOn(run, tools, home) {
    return new Lesson(await TabTraining.goOn(run, null, tools), home);
  }

  get shown() {
    return this.training.shown;
  }

  /** Whether it is no mere plan any more. */
  get begun() {
    return this.running || this.problem !== "" || this.shown.phase !== "planned";
  }

  /** Whether somebody means to go on with it here. */
  get busy() {
    return this.running || (this.shown.phase === "paused" && this.problem !== "elsewhere");
  }

  /** What a page draws. */
  get told() {
    const { name, problem, slow, unkept, training: { plan } } = this;
    const back = Date.now() - (this.hidden ?? 0) < 1000 * SLOWLY;
    return { name, plan, problem, slow, back, unkept, busy: this.busy, running: this.running, ...this.shown };
  }

  /** Learns to the end, or until it is paused, or takes a last look after `end`; in one tab at a time. */
  async run() {
    if (this.running) return;
    this.problem = "";
    this.running = true;
    const letGo = await hold(this.name);
    try {
      if (letGo) await this.learn();
      else this.problem = "elsewhere";
    } catch (error) {
      this.problem = error.message;
    } finally {
      this.learning = this.ends = false;
      this.screen?.release().catch(() => {});
      if (letGo) await this.list().catch(() => (this.unkept = true));
      letGo?.();
      this.running = false;
      this.tell();
    }
  }

  async learn() {
    await this.renew();
    this.wake();
    this.learning = true;
    await (this.ends ? this.training.stop() : this.training.run());
  }

  /** Where another tab has gone on with it since this one kept it last, it is what that has kept. */
  async renew() {
    const { training } = this;
    const there = training.kept.checkpoint && (await this.database.one("checkpoints", this.name));
    if (!there || there.stamp === this.stamp) return;
    this.take(await TabTraining.reopen(there, training.tools));
    training.close();
  }

  /** It is to end before its time, now or when it is run next. */
  end() {
    this.ends = true;
    if (this.learning) this.training.stop().catch(() => {}); // `run` tells what went wrong
  }

  /** Keeps a phone's screen on, where a browser can: one that sleeps doesn't learn. A page that is hidden loses that. */
  async wake() {
    if (document.hidden || (this.screen && !this.screen.released)) return;
    const screen = await awake();
    if (this.running) this.screen = screen;
    else screen?.release().catch(() => {});
  }

  changed() {
    const { tokens_per_second: speed, first_tokens_per_second: first } = this.shown;
    const slowly = this.running && first > 0 && speed < SLOW * first;
    this.since = slowly ? (this.since ?? Date.now()) : null;
    this.slow = Boolean(slowly && Date.now() - this.since > 1000 * SLOWLY);
    if (document.hidden && this.running) this.hidden = Date.now();
    this.tell();
  }

  /** What is kept of it, each time that there is something to go on from. */
  async keep(kept) {
    try {
      const stamp = `${Date.now()} ${Math.random()}`;
      await this.database.put("checkpoints", { ...kept, stamp });
      this.stamp = stamp;
      const best = kept.metrics.findLast((row) => row.best)?.step;
      if (best !== undefined && best !== this.best) {
        const { data, tensors } = await this.training.model();
        await this.database.put("weights", { name: this.name, tensors });
        this.data = data;
        this.best = best;
      }
      await this.list();
      this.unkept = !this.database.keeps;
    } catch {
      this.unkept = true; // the disk is full, or there is none: it goes on, and the page says so
    }
  }

  /** What the list of this browser's trainings tells of it. */
  async list() {
    const { phase, step, steps, metrics, samples } = this.shown;
    const { family, parameters } = this.training.plan;
    const before = await this.database.one("runs", this.name);
    if (!before && !metrics.length) return;
    const ended = ["finished", "stopped", "failed"].includes(phase);
    await this.database.put("runs", { name: this.name, made: before?.made ?? Date.now(), changed: Date.now(), phase: ended ? phase : "open", step, steps, family, parameters, metrics, samples: samples.map(({ step: at, prompt, text }) => ({ step: at, prompt, text })), data: this.data ?? before?.data });
  }

  close() {
    this.training.close();
  }
}

async function awake() {
  try {
    return await navigator.wakeLock.request("screen");
  } catch {
    return null;
  }
}
