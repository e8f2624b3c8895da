// Chat: a conversation with the model; of a model of plain text a note says that it improvises.

import { el, fill } from "../parts/dom.js";
import { field, form, notice, numberField, sliderField } from "../parts/fields.js";

export class ChatView {
  static id = "chat";
  static title = "Chat";
  static icon = "chat";

  constructor(page) {
    this.page = page;
    this.messages = [];
    this.running = null;
    this.notice = notice();
    this.about = el("p", { class: "about" });
    this.talk = el("div", { class: "talk", role: "log", "aria-label": "The conversation" });
    this.words = el("textarea", { rows: 2, class: "prompt", placeholder: "Say something …", onkeydown: (event) => this.key(event) });
    this.temperature = sliderField("Temperature", { value: 0.7, min: 0, max: 2, step: 0.05 });
    this.length = numberField("Length", { value: 150, min: 1, step: 1, empty: 150, hint: "tokens at most" });
    this.send = el("button", { class: "primary", type: "submit" }, "Send");
    this.stopButton = el("button", { type: "button", class: "stop", hidden: true, onclick: () => this.running?.abort() }, "Stop");
    this.again = el("button", { type: "button", hidden: true, onclick: () => this.retry() }, "Another reply");
    this.fresh = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => { this.restart(); this.words.focus(); } }, "Start anew");
    this.element = el(
      "section", { class: "view plain chat", "aria-label": "Chat" },
      this.about, this.talk, this.notice,
      form({ class: "desk", onsubmit: (event) => { event.preventDefault(); this.say(); } },
        field("Your turn", this.words),
        el("div", { class: "controls" }, this.temperature, this.length,
          el("div", { class: "actions" }, this.fresh, this.again, this.stopButton, this.send))),
    );
  }

  modelChanged(model) {
    if (this.model && model && this.model.name !== model.name && !this.running) this.restart();
    this.model = model;
    this.send.disabled = !model;
    const note = model && !model.talks && " This model learned from plain text, not from conversations: it improvises a dialogue.";
    fill(this.about, model ? [el("b", {}, model.name), note && el("span", { class: "note" }, note)] : "No model is ready.");
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.say();
    }
  }

  async say() {
    const content = this.words.value.trim();
    if (!content || this.running || !this.model) return;
    this.words.value = "";
    this.add({ role: "user", content });
    if (await this.reply()) return;
    this.takeBack();
    this.words.value ||= content;
    this.show();
  }

  async retry() {
    if (this.running) return;
    const before = this.takeBack();
    if (await this.reply()) return;
    this.add(before);
    this.show();
  }

  restart() {
    this.messages = [];
    fill(this.talk);
    this.notice.say("");
    this.show();
  }

  /** Generates a reply; returns whether there is one. */
  async reply() {
    this.notice.say("");
    this.running = new AbortController();
    const asked = [...this.messages];
    const { message, text } = this.add({ role: "assistant", content: "" });
    this.show();
    try {
      const request = { model: this.model.name, messages: asked, temperature: this.temperature.read(), maxTokens: this.length.read() };
      for await (const piece of this.page.api.chat(request, this.running.signal, (lines) => this.warn(lines))) {
        message.content += piece;
        text.textContent = message.content;
        text.scrollIntoView({ block: "nearest" });
      }
      if (!message.content) text.textContent = "(nothing)";
    } catch (error) {
      if (error.name !== "AbortError") this.notice.say(error);
      if (!message.content) this.takeBack();
    } finally {
      const focused = document.activeElement;
      this.running = null;
      this.show();
      if (focused === document.body || this.element.contains(focused)) this.words.focus();
    }
    return this.messages.at(-1) === message;
  }

  /** Shows warnings, but that a model of plain text improvises: a note above says that. */
  warn(lines) {
    const news = lines.filter((line) => this.model.talks || !line.includes("dialogue"));
    if (news.length) this.notice.tell(news.join("; "));
  }

  add(message) {
    this.messages.push(message);
    const text = el("p", { class: `turn ${message.role}` }, message.content);
    this.talk.append(text);
    return { message, text };
  }

  takeBack() {
    this.talk.lastChild.remove();
    return this.messages.pop();
  }

  show() {
    const busy = Boolean(this.running);
    this.talk.classList.toggle("busy", busy);
    this.stopButton.hidden = !busy;
    this.send.hidden = busy;
    this.again.hidden = busy || this.messages.at(-1)?.role !== "assistant";
    this.fresh.hidden = busy || !this.messages.length;
  }
}
