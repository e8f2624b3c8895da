// Shared by the views that analyse a passage.

import { t } from "../words.js";

/** Runs one task at a time: `.run(task)` aborts the previous one; task(signal). */
export class Work {
  constructor(element, notice) {
    this.element = element;
    this.notice = notice;
  }

  async run(task) {
    this.abort();
    const running = (this.running = new AbortController());
    this.notice.say("");
    this.element.classList.add("busy");
    try {
      await task(running.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.notice.say(error);
    } finally {
      if (this.running === running) this.element.classList.remove("busy");
    }
  }

  abort() {
    this.running?.abort();
  }
}

/** Generates a text into `area`; request: {model, maxTokens, temperature, seed}. */
export async function letWrite(area, api, request, signal) {
  const usual = { prompt: "", topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stop: [] };
  let text = request.prompt ?? "";
  for await (const event of api.write({ ...usual, ...request }, signal)) {
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
