// Train: uploads a text, starts the server's one training, and shows its progress.

import { clock, el, fill, kept, number } from "../parts/dom.js";
import { grouped } from "../words.js";
import { curves } from "../parts/curves.js";
import { field, form, notice, numberField, selectField } from "../parts/fields.js";
import { exportButton } from "../parts/saving.js";

const SOON = 1000; // milliseconds between two requests while a training runs
const LATER = 4000;
const PATIENCE = 5000; // until a stop may be forced, so that a double click doesn't
const ENDINGS = ".txt,.text,.md,.rst,.tex,.log,.html,.htm,.xhtml,.epub,.docx,.pdf,.csv,.json,.jsonl,.ndjson,.parquet,.gz,text/*";

const FAMILIES = {
  gpt: "gpt · attends to what it read", lstm: "lstm · remembers what it read", gru: "gru · a simpler lstm",
  rnn: "rnn · the simplest", transformer: "transformer · the one of 2017",
};

const PHASES = {
  preparing: "Reading the text and measuring this machine …", training: "Learning", stopping: "Stopping: saving what it has learned …",
  finished: "Trained", stopped: "Stopped", failed: "Failed",
};

export class TrainView {
  static id = "train";
  static title = "Train";
  static icon = "train";

  constructor(page) {
    this.page = page;
    this.file = null;
    this.told = null;
    this.stopping = null;
    this.busy = false;
    this.notice = notice();
    this.input = el("input", { type: "file", class: "file", accept: ENDINGS, onchange: () => this.choose(this.input.files) });
    this.chosen = el("span", { class: "chosen" });
    this.drop = el("label", { class: "drop", for: (this.input.id = "train-text") }, this.input, this.chosen, el("small", {}, "Your text stays on the machine that trains."));
    this.minutes = numberField("Minutes", { value: kept.get("minutes", "1"), min: 0.05, step: "any", empty: 1 });
    this.begins = selectField("Begins knowing", [["nothing", "nothing"], ["english", "English"]]);
    this.begins.input.addEventListener("change", () => this.showBeginning());
    this.family = selectField("Family", [["gpt", FAMILIES.gpt]]);
    this.go = el("button", { class: "primary", type: "submit" }, "Train");
    this.form = form(
      { class: "desk", onsubmit: (event) => { event.preventDefault(); this.train(); } },
      this.drop,
      el("div", { class: "controls" }, this.minutes, this.begins, this.family, el("div", { class: "actions" }, this.go)),
    );
    this.status = el("p", { class: "phase", role: "status" });
    this.clock = el("p", { class: "status" });
    this.bar = el("progress", { "aria-label": "How much of the time has passed" });
    this.stopButton = el("button", { type: "button", class: "stop", onclick: () => this.stop() }, "Stop");
    this.resumeButton = el("button", { type: "button", onclick: () => this.resume() }, "Go on");
    this.write = el("button", { type: "button", class: "primary", onclick: () => this.openIn("write") }, "Open in Write");
    this.watch = el("button", { type: "button", class: "small", onclick: () => this.openIn("watch") }, "Watch it learn");
    this.export = exportButton(page.api, () => this.told.training.run, (error) => this.notice.say(error));
    this.verdict = el("div", { class: "verdict" });
    this.actions = el("div", { class: "actions" }, this.stopButton, this.write, this.resumeButton, this.export, this.watch);
    this.samples = el("div", { class: "samples", role: "log", "aria-label": "What it writes" });
    this.numbers = el("dl", { class: "numbers" });
    this.curves = el("div", { class: "curves" });
    this.stage = el(
      "div", { class: "lens", hidden: true },
      el("div", { class: "story" }, this.status, this.clock, this.bar, this.verdict, this.actions),
      (this.sheet = el("article", { class: "sheet" }, this.samples)),
      (this.side = el("aside", { class: "side" }, this.numbers, el("h2", {}, "Loss"), this.curves, el("p", { class: "hint" }, "Nats a token, lower is better. The model with the lowest loss on text kept apart is what stays."))),
    );
    this.element = el("section", { class: "view plain train", "aria-label": "Train", ondragover: (event) => this.over(event), ondragleave: (event) => this.over(event), ondrop: (event) => this.dropped(event) },
      this.form, this.notice, this.stage);
    this.begins.input.value = kept.get("begins", "nothing");
    this.showFile();
  }

  entered() {
    this.here = true;
    this.follow();
  }

  left() {
    this.here = false;
    clearTimeout(this.timer);
  }

  /** Polls while the view is open: another browser may have started a training. */
  async follow() {
    clearTimeout(this.timer);
    if (!this.busy && !document.hidden) {
      try {
        this.show(await this.page.api.training());
        if (this.lost) this.notice.say("");
        this.lost = false;
      } catch (error) {
        this.lost = true;
        this.notice.say(error);
        this.stage.classList.add("stale");
      }
    }
    clearTimeout(this.timer);
    if (this.here) this.timer = setTimeout(() => this.follow(), this.running || this.lost ? SOON : LATER);
  }

  get running() {
    return ["preparing", "training", "stopping"].includes(this.told?.training?.phase);
  }

  // The text to train on

  over(event) {
    const files = event.dataTransfer?.types.includes("Files");
    if (!files) return;
    event.preventDefault();
    this.drop.classList.toggle("over", event.type === "dragover");
  }

  dropped(event) {
    this.over(event);
    if (event.dataTransfer.files.length) this.choose(event.dataTransfer.files);
  }

  choose(files) {
    this.notice.say(files.length > 1 ? "One text at a time; the first one was taken." : "");
    this.file = files[0] ?? null;
    const most = this.told?.most_bytes;
    if (this.file && most && this.file.size > most) {
      this.notice.say(`${this.file.name} is ${size(this.file.size)} long; texts of up to ${size(most)} are taken here. Use a part of it, or textwright train on the command line.`);
      this.file = null;
    }
    this.input.value = "";
    this.showFile();
  }

  showFile() {
    fill(this.chosen, this.file ? [el("b", {}, this.file.name), ` · ${size(this.file.size)}`] : [el("b", {}, "Drop a text here"), ", or choose a file"]);
    this.go.disabled = !this.file || this.running || this.busy || !this.told?.allowed;
  }

  // A model that exists has its family already.
  showBeginning() {
    this.family.hidden = this.begins.read() === "english";
  }

  async train() {
    if (this.go.disabled) return;
    this.notice.say("");
    this.busy = true;
    this.showFile();
    try {
      const minutes = this.minutes.read();
      kept.set("minutes", minutes);
      kept.set("family", this.family.read());
      kept.set("begins", this.begins.read());
      this.notice.tell("Sending the text …");
      const asked = { file: this.file, family: this.family.read(), minutes, begins: this.begins.read() };
      const told = await this.page.api.train(asked, (share) => this.notice.tell(`Sending the text … ${Math.floor(100 * share)} %`));
      this.notice.say("");
      this.file = null;
      this.show(told);
      if (this.running) this.stopButton.focus();
    } catch (error) {
      this.notice.say(error);
    } finally {
      this.busy = false;
      this.showFile();
      this.follow();
    }
  }

  async stop() {
    this.notice.say("");
    this.stopButton.disabled = true;
    try {
      this.show(await this.page.api.stopTraining(this.told.training.number, this.stopping !== null));
    } catch (error) {
      this.notice.say(error);
    }
  }

  async resume() {
    this.notice.say("");
    this.resumeButton.disabled = true;
    try {
      this.show(await this.page.api.resumeTraining(this.told.training.number));
      if (this.running) this.stopButton.focus();
    } catch (error) {
      this.notice.say(error);
    } finally {
      this.resumeButton.disabled = false;
      this.follow();
    }
  }

  // The state on the server

  show(told) {
    this.told = told;
    this.form.hidden = !told.allowed || this.running;
    this.stage.classList.remove("stale");
    if (!told.allowed) this.notice.tell(`No training here: ${told.why}.`);
    this.minutes.input.max = told.most_minutes;
    const families = told.families.join();
    if (this.families !== families) {
      this.families = families;
      const names = Object.keys(FAMILIES).filter((name) => told.families.includes(name));
      fill(this.family.input, names.map((name) => el("option", { value: name }, FAMILIES[name])));
      this.family.input.value = names.includes(kept.get("family")) ? kept.get("family") : names[0];
    }
    this.showBeginning();
    this.stage.hidden = !told.training;
    if (told.training) this.showTraining(told.training);
    this.showFile();
  }

  showTraining(training) {
    const { text, family, minutes, phase, run, ready, reason, yours, metrics, samples } = training;
    const running = this.running;
    const expected = this.expected(training);
    if (!running) this.seen = null; // resumed, it has no time before its first step to subtract
    const words = `${PHASES[phase]}${reason ? `: ${reason}` : ""}`;
    if (this.said !== words) fill(this.status, (this.said = words));
    this.status.className = `phase ${phase}`;
    fill(this.clock, el("b", {}, text), ` · ${family} · ${running ? expected.words : clock(60 * minutes)}`,
      run && ` · run ${run}`, running && !yours && " · started in another browser");
    this.bar.hidden = !running;
    if (phase === "training") this.bar.value = expected.share;
    else this.bar.removeAttribute("value");
    this.showVerdict(training, running);
    this.stopButton.hidden = !running || !yours;
    this.stopping = phase === "stopping" ? (this.stopping ?? Date.now()) : null;
    const atOnce = this.stopping !== null && Date.now() - this.stopping > PATIENCE;
    this.stopButton.textContent = atOnce ? "Stop at once" : "Stop";
    this.stopButton.disabled = this.stopping !== null && !atOnce;
    this.resumeButton.hidden = running || !run || phase === "finished";
    for (const button of [this.write, this.export, this.watch]) button.hidden = running || !ready;
    this.actions.hidden = [...this.actions.children].every((child) => child.hidden);
    this.sheet.hidden = this.side.hidden = !running && !metrics.length;
    const key = JSON.stringify([training.number, metrics.length, samples.length, phase]);
    if (key !== this.drawn) {
      this.drawn = key;
      this.draw(training);
    }
  }

  /** The progress: from the rate of the steps so far, once there are some: a machine may slow down. */
  expected({ number: which, elapsed, minutes, metrics, steps }) {
    const last = metrics.at(-1);
    const asked = 60 * minutes;
    if (!last?.step || !steps) return { share: Math.min(0.99, elapsed / asked), words: `${clock(elapsed)} of about ${clock(asked)}` };
    const key = `${which} ${last.step}`;
    if (this.seen !== key) [this.seen, this.before] = [key, elapsed - last.seconds];
    const whole = (last.seconds * steps) / last.step;
    const done = Math.min(elapsed - this.before, whole);
    return { share: Math.min(0.99, done / whole), words: `${clock(elapsed)}, about ${clock(Math.max(1, whole - done))} left` };
  }

  showVerdict({ phase, verdict, ready, run, metrics }, running) {
    const ended = !running && verdict;
    const left = metrics.at(-1)?.step ? "What it had learned best is kept." : "It ended before its first evaluation: the model here is as it began, and has learned nothing yet.";
    const lines = !ended ? []
      : phase === "finished" ? [verdict.text, verdict.grounds, verdict.advice]
      : [ready && left, `Go on continues from where it was saved last; on the command line, textwright train --name ${run} --resume does.`];
    const [first, ...rest] = lines;
    fill(this.verdict, first && el("p", {}, phase === "finished" ? sentence(first.replace(/--resume --minutes \+(\S+)/, "$1 more minutes")) : first), ...rest.filter(Boolean).map((line) => el("p", { class: "hint" }, line)));
    this.verdict.hidden = !this.verdict.childElementCount;
  }

  draw({ metrics, samples, parameters }) {
    const last = metrics.at(-1);
    const best = Math.min(...metrics.map((one) => one.val_bits_per_char).filter(Number.isFinite));
    fill(this.numbers, last && number("step", grouped(last.step)), Number.isFinite(best) && number("bits a character", best.toFixed(2)), parameters && number("parameters", grouped(parameters)));
    this.numbers.hidden = !last;
    fill(this.curves, last ? curves(metrics, last.step) : el("p", { class: "hint" }, "The curve begins with the first evaluation."));
    fill(this.samples, samples.length ? [...samples].reverse().map(({ step, prompt, text }, index) =>
      el("section", { class: index ? "sample" : "sample latest" }, el("h3", {}, `step ${grouped(step)}`),
        el("div", { class: "tokens" }, prompt && el("b", {}, prompt), text.startsWith(prompt) ? text.slice(prompt.length) : text))) : el("p", { class: "empty" }, "Soon it writes here what it can: at first nothing but letters."));
  }

  /** Opens the run's model in another view, as soon as the server has it. */
  async openIn(part) {
    const { run } = this.told.training;
    this.notice.tell(`Loading ${run} …`);
    for (let look = 0; look < 40; look++) {
      await this.page.refresh(run);
      if (this.page.model?.name === run) {
        this.notice.say("");
        this.page.pick(run);
        this.page.go(part);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    this.notice.say(`${run} is not among the models of this server yet; look at the picker above.`);
  }
}

const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
