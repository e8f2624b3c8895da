// While a text is written: what of it stands word for word in the text that the model learned from.

import { el, kept } from "./dom.js";
import { current, words } from "../state/texts.js";
import { placeOf, unread } from "../state/tokens.js";
import { grouped, t } from "../words.js";

const PAUSE = 1200; // milliseconds between two looks
const MOST = 18_000; // characters that a look covers, the last ones
const MINIMUM = 40; // characters that count as copied

export class Copying {
  /** say(error): why it can't be told; the switch is off then. */
  constructor({ api, store, paper, say }) {
    Object.assign(this, { api, store, paper, say });
    this.found = null;
    this.box = el("input", { type: "checkbox", checked: kept.get("copying") === "1", onchange: () => this.turn() });
    this.element = el("label", { class: "copying" }, this.box, el("span", {}, t("underline what is copied")));
    store.on(["text", "writing"], () => this.later());
  }

  turn() {
    kept.set("copying", this.box.checked ? "1" : "0");
    this.say("");
    if (this.box.checked) return void this.look();
    this.found = null;
    this.paper.mark([]);
  }

  later() {
    // the tokens of a text that is read anew are others
    if (this.found && !this.holds()) this.show(null);
    else if (this.found && !this.store.get("writing")) this.show(this.found);
    if (this.box.checked) this.timer ??= setTimeout(() => this.look(), PAUSE);
  }

  /** Whether what was found is of the text that is open, as far as it was then. */
  holds() {
    const text = this.store.get("text");
    return text?.id === this.found.text && text.current === this.found.node && words(text).startsWith(this.found.whole);
  }

  async look() {
    clearTimeout(this.timer);
    this.timer = null;
    const text = this.store.get("text");
    const whole = text ? words(text) : "";
    if (text && current(text).tokens.some(unread)) return this.later();
    if (this.asking || whole.length < MINIMUM || (this.found?.whole === whole && this.holds())) return;
    this.asking = true;
    const from = Math.max(0, whole.length - MOST);
    const asked = whole.slice(from);
    try {
      const { stretches } = await this.api.copied({ model: text.model, text: asked, minimum: MINIMUM });
      const units = [...asked]; // the server counts characters
      const place = (at) => from + units.slice(0, at).join("").length;
      this.show({ text: text.id, node: text.current, whole, stretches: stretches.map((one) => ({ ...one, from: place(one.start), to: place(one.start + one.length) })) });
    } catch (error) {
      this.box.checked = false;
      this.say(error);
    } finally {
      this.asking = false;
      if (this.box.checked && words(this.store.get("text")) !== whole) this.later();
    }
  }

  show(found) {
    this.found = found;
    if (!found || !this.holds()) return this.paper.mark([]);
    let place = 0;
    this.paper.mark(current(this.store.get("text")).tokens.filter(({ text }) => {
      const begin = place;
      place += text.length;
      return found.stretches.some(({ from, to }) => begin < to && place > from);
    }));
  }

  /** Where the token at `index` was copied from, in words; null where it wasn't. */
  of(index) {
    if (!this.found || !this.holds()) return null;
    const place = placeOf(current(this.store.get("text")).tokens, index);
    const one = this.found.stretches.find(({ from, to }) => from <= place && place < to);
    return one && { text: one.text.replace(/\s+/g, " ").trim(), where: t("{length} characters word for word in {source}, line {line}", { length: grouped(one.length), source: one.source || t("the training text"), line: grouped(one.line) }) };
  }
}
