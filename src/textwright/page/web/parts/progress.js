// A training while it runs and after: phase, time, curve, samples, verdict.

import { curves } from "./curves.js";
import { clock, el, fill, number } from "./dom.js";
import { help } from "./help.js";
import { plain } from "./reasons.js";
import { decimal, grouped, later, t } from "../words.js";

const PHASES = {
  preparing: later("Reading the text and measuring this machine …"), training: later("Learning"), stopping: later("Stopping: saving what it has learned …"),
  finished: later("Trained"), stopped: later("Stopped"), failed: later("Failed"),
};

export class Progress {
  constructor(actions) {
    this.status = el("p", { class: "phase", role: "status" });
    this.clock = el("p", { class: "status" });
    this.bar = el("progress", { "aria-label": t("How much of the time has passed") });
    this.verdict = el("div", { class: "verdict" });
    this.actions = actions;
    this.latest = el("div", { class: "samples", "aria-live": "polite" });
    this.older = el("div", { class: "samples" });
    this.numbers = el("dl", { class: "numbers" });
    this.curves = el("div", { class: "curves" });
    this.sheet = el("article", { class: "sheet" }, this.latest, this.older);
    this.side = el("aside", { class: "side" }, this.numbers, el("h2", {}, t("Loss"), help("loss")), this.curves);
    this.element = el("div", { class: "lens", hidden: true },
      el("div", { class: "story" }, this.status, this.clock, this.bar, this.verdict, actions), this.sheet, this.side);
  }

  show(training) {
    const { family, minutes, phase, run, reason, yours, metrics, samples, running, expected, text } = training;
    const said = `${t(PHASES[phase])}${reason ? `: ${plain(reason)}` : ""}`;
    if (this.said !== said) this.status.textContent = this.said = said;
    this.status.className = `phase ${phase}`;
    fill(this.clock, el("b", {}, text), ` · ${family} · ${running ? expected.words : clock(60 * minutes)}`,
      run && ` · ${t("run {run}", { run })}`, running && !yours && ` · ${t("started in another browser")}`);
    this.bar.hidden = !running;
    this.bar.classList.toggle("unknown", phase !== "training");
    if (phase === "training") this.bar.value = expected.share;
    else this.bar.removeAttribute("value");
    this.showVerdict(training);
    this.sheet.hidden = this.side.hidden = !running && !metrics.length;
    const key = JSON.stringify([training.number, metrics.length, samples.length, phase, training.live?.step]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.draw(training);
  }

  showVerdict({ phase, verdict, ready, run, metrics, running }) {
    const left = metrics.at(-1)?.step ? t("What it had learned best is kept.") : t("It ended before its first evaluation: the model here is as it began, and has learned nothing yet.");
    const early = !running && phase === "stopped" && !run;
    const lines = early ? [t("It was stopped before its first step, and has learned nothing. The text is still chosen: press Train to begin anew.")]
      : running || !verdict ? []
      : phase === "finished" ? [verdict.text, verdict.grounds, verdict.advice]
      : [ready && left, t("Go on continues from where it was saved last; on the command line, textwright train --name {run} --resume does.", { run })];
    const [first, ...rest] = lines.filter(Boolean).map((line) => plain(line.replace(/(?:--resume )?--minutes \+?(\S+)/, t("{count} more minutes", { count: "$1" }))));
    fill(this.verdict, first && el("p", {}, phase === "finished" ? `${first[0].toUpperCase()}${first.slice(1).replace(/\.$/, "")}.` : first), ...rest.map((line) => el("p", { class: "hint" }, line)));
    this.verdict.hidden = !this.verdict.childElementCount;
  }

  draw({ metrics, samples, parameters, live }) {
    const last = metrics.at(-1);
    const now = live?.sample && live.sample.step > (samples.at(-1)?.step ?? -1) ? [live.sample] : [];
    const best = Math.min(...metrics.map((one) => one.val_bits_per_char).filter(Number.isFinite));
    fill(this.numbers, last && number(t("step"), grouped(live?.step ?? last.step)), Number.isFinite(best) && number(t("bits a character"), decimal(best, 2)), parameters && number(t("parameters"), grouped(parameters)));
    this.numbers.hidden = !last;
    fill(this.curves, last ? curves(metrics, last.step, live?.losses) : el("p", { class: "hint" }, t("The curve begins with the first evaluation.")));
    const shown = [...now, ...[...samples].reverse()].map(({ step, prompt, text }, index) =>
      el("section", { class: index ? "sample" : "sample latest" }, el("h3", {}, t("step {step}", { step: grouped(step) })),
        el("div", { class: "tokens", dir: "auto" }, prompt && el("b", {}, prompt), text.startsWith(prompt) ? text.slice(prompt.length) : text)));
    fill(this.latest, shown[0] ?? el("p", { class: "empty" }, t("Soon it writes here what it can, anew every few seconds: at first nothing but letters.")));
    fill(this.older, shown.slice(1));
  }
}
