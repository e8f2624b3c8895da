// The server's one training, looked at from every part of the page.

import { clock } from "../parts/dom.js";
import { t } from "../words.js";

const SOON = 1000; // milliseconds between two looks while it runs
const LATER = 5000;

export class Training {
  constructor(store, api) {
    Object.assign(this, { store, api });
  }

  begin() {
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    this.look();
  }

  get running() {
    return ["preparing", "training", "stopping"].includes(this.store.get("training")?.phase);
  }

  /** Asks now, and then again and again. */
  async look() {
    clearTimeout(this.timer);
    try {
      this.tell(await this.api.training());
      if (this.store.get("trainingLost")) this.store.set({ trainingLost: null });
    } catch (error) {
      this.store.set({ trainingLost: error });
    }
    clearTimeout(this.timer);
    const soon = this.running || this.store.get("trainingLost");
    const wait = soon ? SOON : this.store.get("part") === "train" ? LATER : 4 * LATER;
    // while the page is hidden a training is still looked at: its end is told
    if (!document.hidden || this.running) this.timer = setTimeout(() => this.look(), wait);
  }

  tell(told) {
    const before = this.store.get("training");
    const { training } = told;
    if (!training) return this.store.set({ trainingTold: told, training: null });
    const expected = this.expected(training);
    const percent = `${Math.floor(100 * expected.share)}\u00a0%`;
    const running = ["preparing", "training", "stopping"].includes(training.phase);
    const just = before && before.number === training.number && ["preparing", "training", "stopping"].includes(before.phase) && !running;
    this.news = this.store.get("part") !== "train" && (just || (this.news && !running && before?.number === training.number));
    const end = { finished: t("Trained"), failed: t("Failed"), stopped: t("Stopped") }[training.phase];
    const title = training.phase === "preparing" ? t("Preparing") : running ? `${percent} ${t("learning")}` : this.news ? `${end}!` : "";
    this.store.set({ trainingTold: told, training: { ...training, expected, running, title, badge: training.phase === "preparing" ? "…" : running ? percent : this.news ? "●" : "" } });
    if (just) this.announce(`${end}: ${training.run ?? training.text}`);
  }

  announce(text) {
    if (!document.hidden || globalThis.Notification?.permission !== "granted") return;
    new Notification("textwright", { body: text });
  }

  /** How much is done, and how long it takes: by its steps so far, once there are some. */
  expected({ number, elapsed, minutes, metrics, steps, phase }) {
    const last = metrics.at(-1);
    const asked = 60 * minutes;
    if (phase === "preparing" || !last?.step || !steps) {
      const share = Math.min(0.99, elapsed / asked);
      return { share, words: elapsed > asked ? t("{time} so far", { time: clock(elapsed) }) : t("{time} of about {whole}", { time: clock(elapsed), whole: clock(asked) }) };
    }
    const key = `${number} ${last.step}`;
    if (this.seen !== key) [this.seen, this.before] = [key, elapsed - last.seconds];
    const whole = (last.seconds * steps) / last.step;
    const done = elapsed - this.before;
    const left = whole - done;
    return { share: Math.min(0.99, done / whole), words: left > 1 ? t("{time}, about {left} left", { time: clock(elapsed), left: clock(left) }) : t("{time}, about to end", { time: clock(elapsed) }) };
  }
}
