// Train: chooses a text, starts the server's one training, shows how it goes, and the runs so far.

import { el, fill, kept } from "../parts/dom.js";
import { field, form, notice, numberField, selectField } from "../parts/fields.js";
import { Progress } from "../parts/progress.js";
import { Runs } from "../parts/runs.js";
import { exportButton } from "../parts/binding.js";
import { Source } from "../parts/source.js";
import { later, t } from "../words.js";

const PATIENCE = 5000; // until a stop may be forced, so that a double click doesn't
const MORE = 2; // minutes beyond the plan

const FAMILIES = {
  gpt: later("gpt · attends to what it read"), lstm: later("lstm · remembers what it read"), gru: later("gru · a simpler lstm"),
  rnn: later("rnn · the simplest"), transformer: later("transformer · the one of 2017"),
};

export class TrainView {
  static id = "train";
  static title = later("Train");
  static icon = "train";
  static note = ""; // what a page on a server says besides

  constructor(page) {
    this.page = page;
    this.api = page.api;
    this.training = page.training;
    this.stopping = null;
    this.busy = false;
    this.notice = notice();
    const say = (error) => this.notice.say(error);
    this.go = el("button", { class: "primary", type: "submit", disabled: true }, t("Train"));
    this.source = new Source({ onchange: () => this.chose(), say });
    this.minutes = numberField(t("Minutes"), { value: kept.get("minutes", "1"), min: 0.05, step: "any", empty: 1 });
    this.begins = selectField(t("Begins knowing"), [["nothing", t("nothing")], ["english", t("English")]], { value: kept.get("begins", "nothing") });
    this.begins.input.addEventListener("change", () => this.showBeginning());
    this.family = selectField(t("Kind of model"), [["gpt", t(FAMILIES.gpt)]]);
    this.name = field(t("Name"), el("input", { type: "text", autocomplete: "off", maxLength: 80 }), t("empty: the text's"));
    this.form = form({ class: "desk", onsubmit: (event) => { event.preventDefault(); this.train(); } },
      this.source.element, el("div", { class: "controls" }, this.minutes, this.begins, this.family, this.name, el("div", { class: "actions" }, this.go)));
    const button = (label, onclick, rest = {}) => el("button", { type: "button", onclick, ...rest }, label);
    this.stopButton = button(t("Stop"), () => this.act(() => this.api.stopTraining(this.job, this.stopping !== null)), { class: "stop" });
    this.resumeButton = button(t("Go on"), () => this.act(() => this.api.resumeTraining(this.job), true));
    this.moreButton = button(t("Two more minutes"), () => this.act(() => this.api.resumeTraining(this.job, MORE), true));
    this.write = button(t("Open in Write"), () => this.openIn("write"), { class: "primary" });
    this.watch = button(t("Watch it learn"), () => this.openIn("watch"), { class: "small" });
    this.export = exportButton(page, () => page.store.get("training").run, say);
    this.report = el("a", { class: "button small", target: "_blank", rel: "noopener" }, t("Report"));
    this.actions = el("div", { class: "actions" }, this.stopButton, this.write, this.moreButton, this.resumeButton, this.export, this.watch, this.report);
    this.progress = new Progress(this.actions);
    this.runs = new Runs(page);
    this.element = el("section", { class: "view plain train", "aria-label": t("Train"), ...this.source.dropsTo((files) => this.choose(files)) },
      el("h1", {}, t("Train a model on a text")), this.form, this.notice, this.progress.element, this.runs.element, TrainView.note && el("p", { class: "hint" }, TrainView.note));
    page.store.on(["trainingTold", "trainingLost"], (values) => this.show(values));
  }

  get job() {
    return this.page.store.get("training").number;
  }

  entered() {
    this.here = true;
    this.training.news = false;
    this.training.look();
    this.runs.look();
  }

  left() {
    this.here = false;
  }

  modelChanged() {
    if (this.here) this.runs.look();
  }

  choose(files) {
    this.source.choose(files);
  }

  /** What stands below is of another text than the one that is being chosen. */
  chose() {
    this.other = this.source?.kind === "file";
    this.ready();
    this.progress?.element.classList.toggle("stale", this.lost || this.other);
  }

  ready() {
    const told = this.page?.store.get("trainingTold");
    if (this.source) this.go.disabled = !this.source.read() || this.training.running || this.busy || !told?.allowed;
  }

  // A model that exists has its family already.
  showBeginning() {
    this.family.hidden = this.begins.read() === "english";
  }

  async train() {
    if (this.go.disabled) return;
    this.notice.say("");
    this.busy = true;
    this.ready();
    try {
      const minutes = this.minutes.read();
      for (const [name, value] of [["minutes", minutes], ["family", this.family.read()], ["begins", this.begins.read()]]) kept.set(name, value);
      const asked = { ...this.source.read(), family: this.family.read(), minutes, begins: this.begins.read(), name: this.name.querySelector("input").value.trim() };
      if (globalThis.Notification?.permission === "default" && minutes >= 1) Notification.requestPermission().catch(() => {});
      if (asked.file) this.notice.tell(t("Sending the text …"));
      const told = await this.api.train(asked, (share) => this.notice.tell(`${t("Sending the text …")} ${Math.floor(100 * share)} %`));
      this.notice.say("");
      this.other = false;
      this.training.tell(told);
      if (this.training.running) this.stopButton.focus();
    } catch (error) {
      this.notice.say(error);
    } finally {
      this.busy = false;
      this.ready();
      this.training.look();
    }
  }

  async act(ask, goesOn = false) {
    this.notice.say("");
    for (const each of [this.stopButton, this.resumeButton, this.moreButton]) each.disabled = true;
    try {
      this.training.tell(await ask());
      if (goesOn && this.training.running) this.stopButton.focus();
    } catch (error) {
      this.notice.say(error);
    } finally {
      for (const each of [this.resumeButton, this.moreButton]) each.disabled = false;
      this.training.look();
    }
  }

  show({ trainingTold: told, trainingLost: lost, training }) {
    if (lost && this.here) this.notice.say(lost);
    else if (this.lost) this.notice.say("");
    this.lost = Boolean(lost);
    this.progress.element.classList.toggle("stale", this.lost || (this.other && !this.training.running));
    if (!told) return;
    this.form.hidden = !told.allowed || this.training.running;
    if (!told.allowed) this.notice.tell(t("No training here: {why}.", { why: told.why }));
    this.minutes.input.max = told.most_minutes;
    this.source.offer(told);
    const families = told.families.join();
    if (this.families !== families) {
      this.families = families;
      const names = Object.keys(FAMILIES).filter((name) => told.families.includes(name));
      fill(this.family.input, names.map((name) => el("option", { value: name }, t(FAMILIES[name]))));
      this.family.input.value = names.includes(kept.get("family")) ? kept.get("family") : names[0];
    }
    this.showBeginning();
    this.progress.element.hidden = !training;
    if (training) this.showTraining(training);
    this.ready();
  }

  showTraining(training) {
    const { phase, run, ready, yours, running, verdict } = training;
    if (this.was?.running && !running && this.was.number === training.number) this.ended(training);
    this.was = training;
    this.progress.show(training);
    this.stopButton.hidden = !running || !yours;
    this.stopping = phase === "stopping" ? (this.stopping ?? Date.now()) : null;
    const atOnce = this.stopping !== null && Date.now() - this.stopping > PATIENCE;
    this.stopButton.textContent = atOnce ? t("Stop at once") : t("Stop");
    this.stopButton.disabled = this.stopping !== null && !atOnce;
    this.resumeButton.hidden = running || !run || phase === "finished";
    this.moreButton.hidden = running || !ready || phase !== "finished" || !training.can_go_on;
    this.moreButton.className = verdict?.kind === "improving" ? "primary" : "";
    for (const button of [this.write, this.export, this.watch]) button.hidden = running || !ready;
    const report = training.report && ready && this.api.reportOf(run);
    this.report.hidden = running || !report;
    if (report) this.report.href = report;
    this.actions.hidden = [...this.actions.children].every((child) => child.hidden);
  }

  /** The model is chosen at once where nobody writes with another. */
  async ended({ run, ready, phase }) {
    if (phase === "finished") this.source.clear();
    this.other = false;
    this.runs.look();
    if (run && ready && this.here) await this.page.refresh(run);
  }

  /** Opens the run's model in another view, as soon as the server has it. */
  async openIn(part) {
    const { run } = this.page.store.get("training");
    this.notice.tell(t("Loading {run} …", { run }));
    for (let look = 0; look < 40; look++) {
      await this.page.refresh(run);
      if (this.page.model?.name === run) {
        this.notice.say("");
        await this.page.pick(run);
        this.page.go(part);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    this.notice.say(t("{run} is not among the models of this server yet; look at the picker above.", { run }));
  }
}
