// A sheet: one text while it is generated, with its own model and temperature.

import { el, fill, grouped } from "../parts/dom.js";
import { selectField, sliderField } from "../parts/fields.js";
import { TokenText } from "../parts/tokens.js";

export class Sheet {
  constructor(view, number) {
    this.view = view;
    this.number = number;
    this.node = null;
    this.running = null;
    this.temperature = sliderField("Temperature", { value: 0.7, min: 0, max: 2, step: 0.05 });
    this.model = selectField("Model", []);
    this.text = new TokenText({
      label: number ? "The text beside it" : "The text",
      onchoose: (index, other) => view.branch(this, index, other),
    });
    this.status = el("p", { class: "status", role: "status" });
    this.warning = el("p", { class: "warning" });
    this.head = el("div", { class: "controls sheethead", hidden: true });
    this.onward = el("button", { type: "button", class: "quiet small", hidden: true, onclick: () => view.branch(this, this.node.tokens.length, null) }, "Write on");
    this.copy = el("button", { type: "button", class: "quiet small", hidden: true, onclick: () => this.copyText() }, "Copy");
    this.compare = el("button", { type: "button", class: "quiet small", hidden: true, onclick: () => view.compare(this.node) }, "Copied or invented?");
    this.empty = el("p", { class: "empty" }, number ? "Another model or another temperature, on the same prompt and seed." : "Nothing written yet.");
    this.element = el(
      "article", { class: "sheet" },
      this.head, this.warning, this.empty, this.text.element,
      el("footer", {}, this.status, el("div", { class: "actions" }, this.compare, this.copy, this.onward)),
    );
  }

  /** A single sheet uses the page's model and the form's temperature. */
  sideBySide(on) {
    this.head.hidden = !on;
    if (this.number === 0) {
      if (on) fill(this.head, this.model, this.temperature);
      else this.view.form.querySelector(".controls").insertBefore(this.temperature, this.view.topK);
    } else fill(this.head, this.model, this.temperature);
    this.model.hidden = this.view.page.models.length < 2;
  }

  modelsChanged(models, model) {
    const ready = models.filter(({ state }) => state === "ready");
    const before = this.model.read();
    fill(this.model.input, ready.map(({ name }) => el("option", { value: name }, name)));
    const keep = this.number === 1 && ready.some(({ name }) => name === before);
    this.model.input.value = keep ? before : (model?.name ?? "");
    this.model.hidden = ready.length < 2;
  }

  async begin({ prompt, given, parent, at = 0, instead = null, settings }) {
    const model = this.head.hidden ? this.view.page.model.name : this.model.read();
    const request = { model, prompt, ...settings, temperature: this.temperature.read() };
    const node = this.view.branches.add({
      sheet: this.number, parent, at, instead, given, prompt, model,
      temperature: request.temperature, seed: settings.seed, tokens: [], reason: null,
    });
    this.node = node;
    this.running = new AbortController();
    this.text.clear();
    this.empty.hidden = true;
    this.onward.hidden = this.copy.hidden = this.compare.hidden = true;
    this.element.classList.add("writing");
    this.warning.textContent = "";
    this.status.textContent = "reading the prompt …";
    const begun = performance.now();
    try {
      await this.follow(request, node, begun);
    } catch (error) {
      node.reason = error.name === "AbortError" ? "stopped" : "lost";
      if (node.reason === "lost") throw error;
    } finally {
      node.seconds = (performance.now() - (node.first ?? begun)) / 1000;
      this.running = null;
      this.element.classList.remove("writing");
      this.show(node);
    }
  }

  async follow(request, node, begun) {
    let place = 0;
    for await (const event of this.view.page.api.write(request, this.running.signal)) {
      if (event.kind === "end") {
        node.reason = event.reason;
        continue;
      }
      if (event.kind === "prompt") node.warnings = event.warnings;
      for (const token of event.tokens ?? [event.token]) {
        node.tokens.push(token);
        this.text.append(token, place < node.given);
        place += token.text.length;
      }
      if (event.kind === "prompt") node.read = node.tokens.length;
      else if (!node.first) {
        node.first = performance.now();
        node.wait = node.first - begun;
        this.status.textContent = "writing …";
      }
    }
  }

  stop() {
    this.running?.abort();
  }

  /** Shows a text that was finished, or stopped. */
  show(node) {
    this.node = node;
    this.empty.hidden = true;
    const focused = document.activeElement === this.text.element;
    this.text.show(node.tokens, node.given);
    if (focused) this.text.focus(node.read ?? 0);
    this.view.branches.mark(node);
    for (const index of this.view.branches.forks(node)) this.text.span(index)?.classList.add("fork");
    this.status.textContent = told(node);
    this.warning.textContent = (node.warnings ?? []).join("; ");
    this.onward.hidden = this.copy.hidden = !node.tokens.length;
    this.compare.hidden = !node.tokens.length || !this.view.canCompare;
  }

  async copyText() {
    await navigator.clipboard.writeText(this.node.tokens.map((token) => token.text).join(""));
    this.copy.textContent = "Copied";
    setTimeout(() => (this.copy.textContent = "Copy"), 1500);
  }
}

/** A line about how a text ended. */
function told(node) {
  const written = node.tokens.slice(node.read ?? 0).filter((token) => token.logprob !== null);
  const count = written.length;
  if (!count && node.reason === "lost") return "";
  const bits = written.reduce((sum, token) => sum - token.logprob, 0) / Math.LN2 / count;
  const rate = count && node.seconds && `${grouped(count / node.seconds)} a second`;
  const ended = { stop: "ended by itself", length: "", stopped: "stopped", lost: "cut off" }[node.reason] ?? "";
  return [`${grouped(count)} token${count === 1 ? "" : "s"}`, rate, count && `${bits.toFixed(2)} bits of surprise each`, `seed ${node.seed}`, ended].filter(Boolean).join(" · ");
}
