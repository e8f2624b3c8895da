// Shared by the views that analyse a passage.

import { el } from "./dom.js";
import { notice } from "./fields.js";
import { t } from "../words.js";

/** Runs one task at a time: `.run(task)` aborts the previous one; task(signal). */
export class Work {
  /** view: its `element` is busy meanwhile, its `notice` tells what went wrong. */
  constructor(view) {
    this.view = view;
  }

  async run(task) {
    this.abort();
    const running = (this.running = new AbortController());
    this.view.notice.say("");
    this.view.element.classList.add("busy");
    try {
      await task(running.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.view.notice.say(error);
    } finally {
      if (this.running === running) this.view.element.classList.remove("busy");
    }
  }

  abort() {
    this.running?.abort();
  }
}

/**
 * A view of one passage: typed, pasted, or written by the model; the first before anybody asks.
 * Who extends it gives `element`, `stage`, the button `check`, `letWrite(maxTokens)`, and may have `changed(model)`.
 */
export class PassageView {
  constructor(page, { placeholder, first }) {
    Object.assign(this, { page, first });
    this.notice = notice();
    this.passage = el("textarea", { rows: 4, class: "prompt", spellcheck: false, placeholder, dir: "auto", oninput: () => this.typed() });
    this.writeButton = el("button", { type: "button", disabled: true, onclick: () => this.letWrite() }, t("Let the model write one"));
    this.work = new Work(this);
  }

  /** Somebody's own words: nothing more is written over them. */
  typed() {
    this.work.abort();
    this.stage.classList.add("stale");
  }

  modelChanged(model) {
    if (this.model?.name === model?.name) return;
    this.work.abort();
    this.model = model;
    this.stage.hidden = true;
    this.notice.say("");
    this.check.disabled = this.writeButton.disabled = !model;
    this.passage.value = "";
    this.changed?.(model);
    this.begin();
  }

  entered() {
    this.here = true;
    this.begin();
  }

  left() {
    this.here = false;
  }

  begin() {
    if (this.here && this.model && !this.passage.value) this.letWrite(this.first);
  }
}

/** Generates a text into `area`; request: {model, maxTokens, temperature, seed}. */
export async function letWrite(area, api, request, signal) {
  const usual = { prompt: "", topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stop: [] };
  let text = request.prompt ?? "";
  for await (const event of api.write({ ...usual, ...request }, signal)) {
    signal.throwIfAborted();
    if (!event.token) continue;
    text += event.token.text;
    area.value = text.trimStart();
    area.scrollTop = area.scrollHeight;
  }
}

/** Whether there is a passage; shows a notice where there is none. */
export function given(area, notice) {
  if (area.value.trim()) return true;
  notice.say(t("Write or paste a passage first, or let the model write one."));
  area.focus();
  return false;
}
