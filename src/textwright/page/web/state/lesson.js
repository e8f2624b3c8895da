// One training of this tab, from its plan to its end: kept in the browser as it goes, told to the page.

import { TabTraining } from "../learning/training.js";

const SLOW = 0.6; // of its own first speed, below which it is told
const SLOWLY = 20; // seconds it must last: other things take a processor for a moment, too

export class Lesson {
  /** training: a `TabTraining`; tell(): something changed; database. */
  constructor(training, { database, tell }) {
    Object.assign(this, { training, database, tell });
    this.name = training.kept.name;
    this.problem = "";
    this.running = false;
    this.best = null;
    training.onevent = () => this.changed();
    training.keep = (kept) => this.keep(kept);
  }

  static async prepare(asked, tools, home, saying) {
    return new Lesson(await TabTraining.prepare(asked, tools, saying), home);
  }

  static async reopen(kept, tools, home) {
    return new Lesson(await TabTraining.reopen(kept, tools), home);
  }

  static async goOn(run, text, tools, home) {
    return new Lesson(await TabTraining.goOn(run, text, tools), home);
  }

  get shown() {
    return this.training.shown;
  }

  /** What a page draws. */
  get told() {
    const { name, problem, slow, unkept, training: { plan } } = this;
    const back = Date.now() - (this.hidden ?? 0) < 1000 * SLOWLY;
    return { name, plan, problem, slow, back, unkept, running: this.running, ...this.shown };
  }

  /** Learns to the end, or until it is paused; in one tab at a time. */
  async run() {
    this.problem = "";
    this.running = true;
    const held = await lock(this.name);
    if (!held) {
      this.running = false;
      this.problem = "elsewhere";
      return this.tell();
    }
    this.screen = await awake();
    try {
      await this.training.run();
    } catch (error) {
      this.problem = error.message;
    } finally {
      this.screen?.release().catch(() => {});
      held();
      this.running = false;
      await this.list();
      this.tell();
    }
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
      await this.database.put("checkpoints", kept);
      const best = kept.metrics.findLast((row) => row.best)?.step;
      if (best !== undefined && best !== this.best) {
        const { data, tensors } = await this.training.model();
        await this.database.put("weights", { name: this.name, tensors });
        this.data = data;
        this.best = best;
      }
      await this.list();
      this.unkept = false;
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

/** Holds a training for this tab; a function that lets it go, or null where another tab has it. */
function lock(name) {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    navigator.locks.request(`textwright-training-${name}`, { ifAvailable: true }, (held) => {
      if (!held) return resolve(null);
      return new Promise((release) => resolve(release));
    }).catch(() => resolve(() => {}));
  });
}

/** Keeps a phone's screen on, where a browser can: one that sleeps doesn't learn. */
async function awake() {
  try {
    return await navigator.wakeLock.request("screen");
  } catch {
    return null;
  }
}
