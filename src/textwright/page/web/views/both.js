// Train, on a page from a server: in this tab, or on the machine that serves.

import { el, kept } from "../parts/dom.js";
import { segments } from "../parts/segments.js";
import { later, t } from "../words.js";
import { HereView } from "./here.js";
import { TrainView } from "./train.js";

export class BothView {
  static id = "train";
  static title = later("Train");
  static icon = "train";

  constructor(page) {
    this.homes = { here: new HereView(page), there: new TrainView(page) };
    this.choice = segments(t("Where it trains"), [["there", t("On the machine that serves")], ["here", t("Here in this tab")]], (home) => {
      kept.set("trains", home);
      this.turn(home);
    });
    this.element = el("div", { class: "both" }, this.choice); // and one of them: labels and names are its own
    this.turn(kept.get("trains", "there"));
    page.store.on(["trainingTold"], ({ trainingTold: told }) => told && !told.allowed && !kept.get("trains") && this.turn("here"));
  }

  get view() {
    return this.homes[this.home];
  }

  turn(home) {
    if (home === this.home) return;
    this.view?.left?.();
    this.view?.element.remove();
    this.home = home in this.homes ? home : "there";
    this.choice.pick(this.home);
    this.element.append(this.view.element);
    if (this.here) this.view.entered();
  }

  entered() {
    this.here = true;
    this.view.entered();
  }

  left() {
    this.here = false;
    this.view.left?.();
  }

  modelChanged(model) {
    for (const view of Object.values(this.homes)) view.modelChanged(model);
  }

  choose(files) {
    this.view.choose(files);
  }
}
