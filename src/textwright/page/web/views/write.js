// Write: the sheet that people and the model write on, what may come next, the branches, the texts.

import { Alternatives } from "../parts/alternatives.js";
import { exportButton } from "../parts/binding.js";
import { Branches } from "../parts/branches.js";
import { described } from "../parts/described.js";
import { Die } from "../parts/die.js";
import { el, fill } from "../parts/dom.js";
import { doors } from "../parts/doors.js";
import { Follow } from "../parts/follow.js";
import { form, notice } from "../parts/fields.js";
import { asHtml, asPicture } from "../parts/keepsake.js";
import { legend } from "../parts/legend.js";
import { Paper } from "../parts/paper.js";
import { copy, save } from "../parts/saving.js";
import { Settings } from "../parts/settings.js";
import { Shelf, fileName } from "../parts/shelf.js";
import { titlepage } from "../parts/titlepage.js";
import { told } from "../parts/told.js";
import { placeOf, tokenAt } from "../state/tokens.js";
import { current, nodeOf, pruned, titleOf, withNode, words } from "../state/texts.js";
import { outline } from "../state/tree.js";
import { later, t } from "../words.js";

const FIRST = 90; // tokens that are written before anybody asks

export class WriteView {
  static id = "write";
  static title = later("Write");
  static icon = "write";
  static Copying = null; // on a server, which has the training text

  constructor(page) {
    const { store, writing, library, api } = page;
    Object.assign(this, { page, store, writing, library });
    this.notice = notice();
    const say = (error) => this.notice.say(error);
    this.paper = new Paper({
      label: t("The text. Type anywhere; Control and Enter writes on from the cursor, Alt and the arrow down shows what else was likely."),
      placeholder: t("Begin a sentence here, or press Write …"),
      onedit: (change) => writing.type(change), oncaret: (place) => this.moved(place),
      onpoint: (index, span) => this.glance(index, span), onpick: (index, span) => this.pick(index, span),
    });
    this.alternatives = new Alternatives({
      onchoose: (other) => this.choose(other), onmove: (by) => this.pick(tokenAt(this.paper.tokens, this.picked.place) + by),
      onfan: () => writing.fan(this.picked.place), onclose: (byKey) => byKey && this.paper.input.focus({ preventScroll: true }),
    });
    this.die = new Die({ onthrow: (token) => this.step(token) });
    this.branches = new Branches({ onshow: (id) => this.turn(id) });
    this.shelf = new Shelf({ library, say, onopen: (text) => page.openText(text), onnew: () => this.fresh("") });
    this.settings = new Settings({ onchange: (settings) => page.setSettings(settings), say });
    const button = (label, onclick, rest = {}) => el("button", { type: "button", class: "small", onclick, ...rest }, label);
    this.go = el("button", { class: "primary", type: "submit", title: t("Control and Enter") }, t("Write"));
    this.stopButton = el("button", { type: "button", class: "stop", hidden: true, onclick: () => writing.stop() }, t("Stop"));
    this.again = button(t("Another try"), () => writing.again());
    this.five = button(t("Five ways"), () => writing.fan(words(library.text).length));
    this.undo = button("↶", () => library.undo(), { "aria-label": t("Undo"), title: t("Undo") });
    this.redo = button("↷", () => library.redo(), { "aria-label": t("Redo"), title: t("Redo") });
    this.title = el("h1", { class: "texttitle", dir: "auto" });
    this.about = el("p", { class: "about" });
    this.along = button(t("Take this text along"), () => this.takeAlong());
    this.export = api.exported && exportButton(page, () => library.text?.model ?? store.get("model").name, say);
    this.copy = button(t("Copy"), () => this.copyText());
    this.compare = api.copied && button(t("Copied or invented?"), async () => (await page.show("copied")).take(words(library.text)));
    this.copying = WriteView.Copying && new WriteView.Copying({ api, store, paper: this.paper, say });
    this.takeaway = el("details", { class: "takeaway" }, el("summary", {}, t("Take away")), el("div", { class: "actions" },
      button(t("As a picture"), () => this.keep(asPicture(this.paper.backdrop, this.credit), "image/svg+xml", "svg")), button(t("As HTML"), () => this.keep(asHtml(this.paper.tokens, this.credit), "text/html", "html"))));
    this.starts = el("div", { class: "starts", role: "group", "aria-label": t("Beginnings") });
    this.status = el("p", { class: "status", role: "status" });
    this.warning = el("p", { class: "warning" });
    this.sheet = el("article", { class: "sheet" },
      el("div", { class: "legendrow" }, legend(), el("span", { class: "hint" }, t("Point at a letter, or tap it, for what else was likely.")), this.copying?.element),
      this.warning, this.paper.element);
    this.desk = form({ class: "deskbar", onsubmit: (event) => { event.preventDefault(); this.write(); } },
      el("div", { class: "actions" }, this.go, this.stopButton, this.again, this.five, this.undo, this.redo),
      el("div", { class: "controls" }, this.settings.first), this.status, this.settings.more, this.notice);
    this.node = el("div", { class: "actions" },
      button(t("Star"), () => this.mark({ star: !current(library.text).star })), button(t("Name"), () => this.nameBranch()), button(t("Delete"), () => library.change(pruned(library.text, library.text.current), "prune")),
      button("−", () => this.branches.scale(0.8), { "aria-label": t("Smaller") }), button("+", () => this.branches.scale(1.25), { "aria-label": t("Larger") }),
      button(t("Fold"), () => this.branches.fold(library.text.current)),
      button(t("Picture"), () => save(new Blob([this.branches.file()], { type: "image/svg+xml" }), `${this.fileName}.svg`)),
      button(t("As text"), () => save(new Blob([outline(library.text)], { type: "text/plain" }), `${this.fileName}.txt`)));
    this.tree = el("section", { class: "treebox", "aria-label": t("Branches"), hidden: true }, el("div", { class: "treehead" }, el("h2", {}, t("Branches")), this.node), this.branches.element);
    this.doors = page.keepsake ? titlepage(page.keepsake) : doors(page);
    this.element = el("section", { class: "view write", "aria-label": t("Write"), onkeydown: (event) => this.key(event) },
      el("div", { class: "main" }, this.doors, el("header", { class: "texthead" }, el("div", { class: "titlerow" }, this.title, el("div", { class: "actions" }, this.copy, this.takeaway, this.compare, this.export)), this.about), this.starts, this.sheet, this.desk, this.tree),
      el("aside", { class: "side" }, this.die.element, this.shelf.element));
    this.follow = new Follow(this.paper.element, this.desk);
    store.on(["text", "writing"], (values) => this.draw(values));
    store.on(["texts", "text", "keeps", "unkept", "gone"], (values) => this.shelf.show(values));
    store.on(["next", "settings"], ({ next, settings }) => this.die.show(next?.text === library.text?.id ? next : null, settings));
    store.on(["warnings"], ({ warnings }) => (this.warning.textContent = (warnings ?? []).join("; ")));
  }

  modelChanged(model) {
    this.model = model;
    this.settings.set(this.store.get("settings"));
    this.settings.modelChanged(model);
    fill(this.starts, (model?.beginnings ?? []).map((beginning) =>
      el("button", { type: "button", class: "start", dir: "auto", onclick: () => this.fresh(beginning) }, beginning.trim().slice(0, 40).replace(/\s+/g, " ") || "↵")));
    const text = this.library.text;
    this.draw(this.store.values);
    if (!model) return;
    if (!text || text.model !== model.name) this.openFor(model);
  }

  /** The newest text of a model, or one that it begins by itself. */
  openFor(model) {
    const before = this.library.text;
    this.came = before && before.model !== model.name && !before.auto && words(before) ? before : null;
    const latest = this.library.latest(model.name);
    if (latest) {
      this.library.open(latest);
      this.writing.ahead(0);
    } else if (this.opening !== model.name) {
      this.opening = model.name; // once, however often it is asked for meanwhile
      this.fresh(model.beginnings?.[0] ?? "", true);
    }
  }

  /** A new text from a beginning; written on at once unless it is empty and asked for. */
  async fresh(beginning, auto = false) {
    await this.writing.stop();
    this.opening = null;
    this.library.make(this.model.name, beginning ? [{ text: beginning, own: true }] : [], auto);
    if (beginning || auto) this.writing.on(null, auto ? { maxTokens: FIRST, auto } : {});
    else {
      this.store.set({ next: null, warnings: [] });
      this.paper.input.focus();
      this.writing.ahead(0);
    }
  }

  takeAlong() {
    this.library.make(this.model.name, [{ text: words(this.came), own: true }]);
    this.came = null;
    this.library.change({ ...this.library.text, changed: Date.now() }, "type");
    this.writing.ahead(0);
  }

  write() {
    if (this.writing.running || !this.library.text) return;
    try {
      this.settings.read();
    } catch (error) {
      return void this.notice.say(error);
    }
    const focused = document.activeElement === this.paper.input;
    this.follow.begin();
    this.place = Infinity;
    this.writing.on(focused ? this.paper.place : null);
  }

  async choose(other) {
    this.follow.begin();
    this.place = Infinity;
    this.paper.input.focus({ preventScroll: true });
    await this.writing.choose(this.picked.place, this.picked.token, other);
  }

  async step(token) {
    this.place = Infinity;
    await this.writing.take(token, this.store.get("next").place);
  }

  moved(place) {
    if (this.store.get("caret") === place) return;
    this.store.set({ caret: place });
    if (!this.store.get("writing")) this.writing.ahead();
  }

  glance(index, span) {
    if (index < 0) return this.alternatives.pinned || this.alternatives.close();
    this.alternatives.open(this.paper.tokens[index], span, { glance: true });
  }

  pick(index, span = this.paper.spanOf(index)) {
    const token = this.paper.tokens[index];
    if (!token) return;
    this.picked = { place: placeOf(this.paper.tokens, index), token }; // by its place: the model may read the text meanwhile, in other tokens
    this.alternatives.open(token, span, { note: this.copying?.of(index) });
  }

  get credit() {
    const { model } = this.library.text;
    return { title: titleOf(this.library.text), by: t("written with {model}, textwright", { model }) };
  }

  keep(content, type, ending) {
    save(new Blob([content], { type }), `${this.fileName}.${ending}`);
    this.takeaway.open = false;
  }

  turn(id) {
    if (this.store.get("writing")) return;
    this.library.change({ ...this.library.text, current: id });
    this.writing.ahead(0);
  }

  mark(fields) {
    this.library.change(withNode({ ...this.library.text, auto: false }, this.library.text.current, fields), "mark");
  }

  nameBranch() {
    const input = el("input", { type: "text", "aria-label": t("Name"), value: current(this.library.text).name ?? "", onblur: () => { input.remove(); this.mark({ name: input.value.trim() }); }, onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter") input.blur();
    } });
    this.node.prepend(input);
    input.focus();
  }

  get fileName() {
    return fileName(titleOf(this.library.text));
  }

  async copyText() {
    const done = await copy(words(this.library.text));
    this.copy.textContent = done ? t("Copied") : t("This browser doesn't let the page copy: select the text");
    setTimeout(() => (this.copy.textContent = t("Copy")), 2000);
  }

  key(event) {
    const control = event.ctrlKey || event.metaKey;
    const typing = /^(INPUT|SELECT)$/.test(event.target.tagName);
    if (event.key === "Enter" && control) this.write();
    else if (control && !typing && event.key.toLowerCase() === "z") event.shiftKey ? this.library.redo() : this.library.undo();
    else if (control && !typing && event.key.toLowerCase() === "y") this.library.redo();
    else if (event.altKey && event.key === "ArrowDown") this.pick(...this.paper.here());
    else return;
    event.preventDefault();
  }

  draw({ text, writing, models }) {
    const { model } = this;
    const ready = Boolean(model) && Boolean(text);
    this.title.textContent = text ? titleOf(text, t("A new text")) : t("Write");
    const by = text && (models ?? []).find(({ name }) => name === text.model);
    const elsewhere = text && model && text.model !== model.name;
    fill(this.about, text ? [el("b", {}, text.model), " ", described(by), elsewhere && ` · ${t("not the model that is chosen above")}`, this.came && this.along] : models === null ? t("Looking for models …") : !models?.length ? t("No model yet: train one.") : null);
    for (const each of [this.go, this.again, this.five]) each.disabled = !ready || Boolean(writing);
    swap(this.go, this.stopButton, Boolean(writing));
    const can = this.library.can();
    this.undo.disabled = !can.undo || Boolean(writing);
    this.redo.disabled = !can.redo || Boolean(writing);
    this.sheet.classList.toggle("writing", Boolean(writing));
    for (const each of [this.copy, this.export]) if (each) each.disabled = !text;
    this.paper.input.readOnly = !text; // until there is one that keeps what is typed
    if (!text) {
      this.paper.show([]);
      if (model && models) queueMicrotask(() => this.library.text || this.openFor(model)); // it was deleted
      return;
    }
    const node = nodeOf(text, text.current);
    this.paper.show(node.tokens, writing ? null : this.place ?? null, Boolean(writing));
    if (!writing) this.place = null;
    this.again.disabled ||= !node.tokens.length;
    this.compare && (this.compare.hidden = !node.tokens.length);
    this.status.textContent = told({ node, writing, model: by });
    this.tree.hidden = text.nodes.length < 2;
    if (!this.tree.hidden && (!writing || text.nodes.length !== this.count)) this.branches.show(text);
    this.count = text.nodes.length;
    if (writing) this.follow.now();
  }
}

function swap(here, there, on) {
  const focused = document.activeElement === (on ? here : there);
  here.hidden = on;
  there.hidden = !on;
  if (focused) (on ? there : here).focus();
}
