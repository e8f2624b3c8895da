// Chat: a conversation with the model; of a model of plain text a note says that it improvises.

import { el, fill, kept } from "../parts/dom.js";
import { field, form, notice, numberField, sliderField } from "../parts/fields.js";
import { later, t } from "../words.js";

const OPENINGS = ["Hi! Have you seen any good movies lately?", "Do you like music?", "What do you think about football?"];

export class ChatView {
  static id = "chat";
  static title = later("Chat");
  static icon = "chat";

  constructor(page) {
    this.page = page;
    this.messages = [];
    this.running = null;
    this.notice = notice();
    this.about = el("p", { class: "about" });
    this.talk = el("div", { class: "talk", role: "log", tabIndex: 0, "aria-label": t("The conversation") });
    this.openings = el("div", { class: "starts", role: "group", "aria-label": t("Beginnings") }, OPENINGS.map((words) => el("button", { type: "button", class: "start", onclick: () => { this.words.value = words; this.say(); } }, words)));
    this.words = el("textarea", { rows: 2, class: "prompt", placeholder: t("Say something …"), dir: "auto", onkeydown: (event) => this.key(event) });
    this.temperature = sliderField(t("Temperature"), { value: 0.7, min: 0, max: 2, step: 0.05 });
    this.length = numberField(t("Length"), { value: 150, min: 1, step: 1, empty: 150, hint: t("tokens at most") });
    this.send = el("button", { class: "primary", type: "submit" }, t("Send"));
    this.stopButton = el("button", { type: "button", class: "stop", hidden: true, onclick: () => this.running?.abort() }, t("Stop"));
    this.again = el("button", { type: "button", hidden: true, onclick: () => this.retry() }, t("Another reply"));
    this.fresh = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => { this.restart(); this.keep(); this.words.focus(); } }, t("Start anew"));
    this.element = el(
      "section", { class: "view plain chat", "aria-label": t("Chat") },
      el("h1", { class: "offscreen" }, t("Chat")), this.about, this.openings, this.talk, this.notice,
      form({ class: "desk", onsubmit: (event) => { event.preventDefault(); this.say(); } },
        field(t("Your turn"), this.words),
        el("div", { class: "controls" }, this.temperature, this.length,
          el("div", { class: "actions" }, this.fresh, this.again, this.stopButton, this.send))),
    );
  }

  async modelChanged(model) {
    this.send.disabled = !model;
    const note = model && !model.talks && ` ${t("This model learned from plain text, not from conversations: it improvises a dialogue.")}`;
    fill(this.about, model ? [el("b", {}, model.name), note && el("span", { class: "note" }, note)] : "");
    if (this.model?.name === model?.name) return void (this.model = model);
    this.running?.abort();
    this.model = model;
    this.restart();
    if (!model) return;
    const before = await this.page.database.one("chats", model.name).catch(() => null);
    if (this.model !== model || this.messages.length) return;
    for (const message of before?.messages ?? []) this.add(message);
    this.show();
    this.talk.scrollTop = this.talk.scrollHeight;
    if (!before) this.example();
  }

  /** Keeps the conversation in this browser, by model. */
  keep() {
    this.page.database.put("chats", { model: this.model.name, messages: this.messages }).catch(() => {});
  }

  entered() {
    this.here = true;
    const talks = this.page.models.find((model) => model.talks && model.state === "ready");
    if (talks && !this.model?.talks && !kept.get("model")) this.page.choose(talks);
    else this.example();
  }

  left() {
    this.here = false;
  }

  /** A first exchange before anybody asks, with a model that learned to talk. */
  example() {
    if (!this.here || !this.model?.talks || this.messages.length || this.running || this.shown === this.model.name) return;
    this.shown = this.model.name;
    this.words.value = OPENINGS[0];
    this.say();
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
        this.talk.scrollTop = this.talk.scrollHeight;
      }
      if (!message.content) text.textContent = t("(nothing)");
    } catch (error) {
      if (error.name !== "AbortError") this.notice.say(error);
      if (!message.content) this.takeBack();
    } finally {
      const focused = document.activeElement;
      this.running = null;
      this.show();
      this.keep();
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
    const text = el("p", { class: `turn ${message.role}`, dir: "auto" }, message.content);
    this.talk.append(text);
    this.talk.scrollTop = this.talk.scrollHeight;
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
    this.openings.hidden = this.messages.length > 0;
  }
}
