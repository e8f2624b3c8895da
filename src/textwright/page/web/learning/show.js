// What a training shows of itself while it runs: a plain object, made anew when it is asked for.

import { verdict } from "./verdict.js";

const RECENT = 20; // seconds over which the speed is looked at
const POINTS = 400; // of the loss; where there are more, every second one goes
const SAMPLES = 100;

export class Show {
  constructor(training) {
    this.training = training;
    this.phase = { running: "planned", interrupted: "stopped", diverged: "failed" }[training.settings.result.status] ?? "finished";
    if (training.kept.checkpoint && this.phase === "planned") this.phase = "paused";
    this.losses = [...training.kept.losses];
    this.samples = training.samples.map((one) => ({ ...one, tokens: null }));
    this.before = training.state.seconds;
    this.begun = null;
    this.message = "";
    this.recent = [];
    this.first = null;
    this.gathered = { sum: 0, count: 0 };
    this.pace = 1;
  }

  /** Seconds of training so far, pauses left out. */
  get seconds() {
    return this.before + (this.begun === null ? 0 : (performance.now() - this.begun) / 1000);
  }

  begin() {
    this.begun = performance.now();
    this.recent = [{ at: this.begun, step: this.training.state.step }];
    this.phase = "training";
  }

  end(phase, message = "") {
    this.before = this.seconds;
    this.begun = null;
    this.phase = phase;
    this.message = message;
    this.training.tell("ended");
  }

  fail(error) {
    this.end("failed", error.message);
  }

  measuring() {
    this.phase = "measuring";
    this.training.tell("step");
  }

  learned(step, loss) {
    const { gathered } = this;
    gathered.sum += loss;
    gathered.count++;
    if (gathered.count >= this.pace) {
      this.losses = [...this.losses, [step, gathered.sum / gathered.count]];
      this.gathered = { sum: 0, count: 0 };
    }
    if (this.losses.length > POINTS) {
      this.losses = this.losses.filter((_, place) => place % 2);
      this.pace *= 2;
    }
    const now = performance.now();
    this.recent = [...this.recent.filter(({ at }) => now - at < 1000 * RECENT), { at: now, step }];
    if (this.first === null && now - this.begun > 5000) this.first = this.speed;
  }

  /** Tokens a second, of late. */
  get speed() {
    const [from, to] = [this.recent[0], this.recent.at(-1)];
    if (!from || to.at <= from.at) return 0;
    return ((to.step - from.step) * this.training.settings.plan.tokens_per_step * 1000) / (to.at - from.at);
  }

  wrote({ step, prompt, text, tokens }) {
    const before = this.samples.slice(-SAMPLES).map((one) => ({ ...one, tokens: null }));
    this.samples = [...before, { step, prompt, text, tokens }];
  }

  /** In the page's language; run.toml has it in English. */
  get verdict() {
    const { settings, metrics } = this.training;
    const { verdict: words, status, steps: done, val_loss: loss } = settings.result;
    return words ? verdict(metrics, { status, steps: settings.plan.steps, done, loss }) : "";
  }

  get shown() {
    const { state, settings, extra, kept, notes } = this.training;
    const { steps, expected_seconds: expected } = settings.plan;
    const metrics = [...this.training.metrics, ...extra];
    const best = extra.find((row) => row.best) ?? metrics.find((row) => row.step === state.best_step);
    const done = state.step / steps;
    const usual = expected ? expected * (1 - done) : null;
    return {
      phase: this.phase, step: state.step, steps, seconds: this.seconds,
      // the plan knows how long it takes until enough of it is done to tell
      left: done > 0.05 ? (this.seconds / done) * (1 - done) : usual,
      tokens_per_second: this.speed, first_tokens_per_second: this.first ?? this.speed,
      losses: this.losses, metrics, samples: this.samples, marks: kept.marks, rate: kept.factor, temperature: kept.temperature,
      best: best ? { step: best.step, val_bits_per_char: best.val_bits_per_char } : null,
      verdict: this.verdict, message: this.message, notes,
    };
  }
}
