// The page around the views: models, navigation, addresses, theme, stage.

import { el, fill, icon, kept } from "./parts/dom.js";
import { plain } from "./parts/reasons.js";
import { mark, stageSwitch, themeSwitch } from "./parts/shell.js";
import { USUAL } from "./parts/settings.js";
import { Database } from "./state/database.js";
import { Library } from "./state/library.js";
import { address, read } from "./state/routes.js";
import { Store } from "./state/store.js";
import { Training } from "./state/training.js";
import { titleOf } from "./state/texts.js";
import { Writing } from "./state/writing.js";
import { t } from "./words.js";

/**
 * Builds the page; `views` have `id`, `title`, `icon`, optionally `brief`: classes, or with `load(page)`, a
 * promise of one. keepsake: what a file was given, see `parts/binding.js`. before(page): what must be
 * done before models are asked for.
 */
export async function openPage(api, views, { keepsake = null, before = async () => {} } = {}) {
  const page = new Page(api, views, await Database.open(), keepsake);
  await page.library.begin(keepsake?.texts);
  await before(page);
  document.body.append(page.element);
  await page.start();
  return page;
}

class Page {
  constructor(api, views, database, keepsake) {
    this.api = api;
    this.keepsake = keepsake;
    this.views = views;
    this.parts = views.map(({ id }) => id);
    this.database = database;
    this.store = new Store({
      models: null, model: null, part: this.parts[0], text: null, texts: [], settings: USUAL, writing: null, next: null, caret: null,
      warnings: [], trouble: null, lost: null, training: null, trainingTold: null, trainingLost: null, keeps: database.keeps, unkept: false, gone: null,
    });
    this.library = new Library(this.store, database);
    this.writing = new Writing(this.store, api, this.library);
    this.training = new Training(this.store, api);
    this.open = new Map();
    this.picker = el("select", { class: "picker", "aria-label": t("Model"), onchange: () => this.pick(this.picker.value) });
    this.links = views.map((view) =>
      el("a", { href: `#${view.id}`, class: "tab", "aria-label": t(view.title), title: t(view.title) }, icon(view.icon), el("span", { class: "full" }, t(view.title)), el("span", { class: "brief" }, t(view.brief ?? view.title)), el("span", { class: "badge", hidden: true })),
    );
    this.toast = el("div", { class: "toast", role: "alert" });
    this.main = el("main", { id: "main", tabIndex: -1 });
    this.element = el("div", { class: `page ${api.home}` },
      el("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); this.main.focus(); } }, t("To the text")),
      el("header", { class: "top" },
        el("span", { class: "wordmark" }, mark(), el("span", {}, "textwright")),
        el("nav", { class: "tabs", "aria-label": t("Parts of the page") }, this.links),
        el("div", { class: "tools" }, this.picker, stageSwitch(api.address && (() => api.address())), themeSwitch())),
      this.main, this.toast);
    addEventListener("hashchange", () => this.route());
    addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.store.get("writing") && this.writing.stop());
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => this.dropped(event));
    this.store.on(["trouble", "lost"], () => this.complain());
    this.store.on(["part", "model", "text", "training", "here"], () => this.entitle());
    this.store.on(["text"], ({ text }) => this.showAddress(text));
  }

  get models() {
    return this.store.get("models") ?? [];
  }

  get model() {
    return this.store.get("model");
  }

  has(part) {
    return this.parts.includes(part);
  }

  async start() {
    await this.route();
    this.wantedText ??= this.keepsake?.texts[0]?.id;
    await this.refresh();
    if (this.api.home === "offline") return;
    this.followModels();
    if (this.has("train")) this.training.begin();
  }

  /** Polls the list of models, which changes while the page is open. */
  async followModels() {
    const soon = this.store.get("lost") || this.models.some(({ state }) => state === "loading") || !this.model;
    await new Promise((resolve) => setTimeout(resolve, soon ? 1500 : 10000));
    if (!document.hidden && document.activeElement !== this.picker) await this.refresh();
    this.followModels();
  }

  /** Updates the list of models; keeps the selected one, or selects `name`. */
  async refresh(name = null) {
    const before = JSON.stringify(this.store.get("models"));
    try {
      const models = await this.api.models();
      if (this.store.get("lost")) this.store.set({ lost: null, trouble: null });
      if (JSON.stringify(models) === before && name === null) return;
      this.store.set({ models });
    } catch (error) {
      this.store.set({ lost: error });
      return;
    }
    const wanted = name ?? this.model?.name ?? this.wanted ?? kept.get("model");
    const ready = this.models.filter((model) => model.state === "ready");
    const suits = (model) => Boolean(model.talks) === (this.store.get("part") === "chat");
    const chosen = ready.find((model) => model.name === wanted) ?? ready.find(suits) ?? ready[0] ?? null;
    const other = chosen?.name !== this.model?.name;
    this.showModels();
    if (!chosen && this.models.length) this.store.set({ trouble: new Error(t("No model can be used here: {reasons}", { reasons: this.models.map(({ name: which, reason, state }) => `${which}: ${reason ?? state}`).join("; ") })) });
    if (other || !chosen) await this.choose(chosen);
    else {
      this.store.set({ model: chosen });
      this.tellViews();
    }
  }

  showModels() {
    const groups = [[t("Trained here"), this.models.filter(({ shipped }) => !shipped)], [t("Came along"), this.models.filter(({ shipped }) => shipped)]];
    const option = (model) => el("option", { value: model.name, disabled: model.state !== "ready", title: model.reason ?? "" }, optionText(model));
    fill(this.picker, this.models.length ? groups.filter(([, models]) => models.length).map(([label, models]) => el("optgroup", { label }, models.map(option))) : el("option", { value: "" }, t("no model yet")));
    this.picker.hidden = this.api.home === "offline" && this.models.length < 2;
    if (this.model) this.picker.value = this.model.name;
  }

  pick(name) {
    kept.set("model", name);
    const model = this.models.find((one) => one.name === name) ?? null;
    this.writing.stop();
    return this.choose(model);
  }

  /** Makes a model the chosen one, with the settings that were last used with it. */
  async choose(model) {
    const stored = model && (await this.database.one("settings", model.name).catch(() => null));
    this.store.set({ model, settings: { ...USUAL, ...stored?.settings }, trouble: model ? null : this.store.get("trouble") });
    if (model) this.picker.value = model.name;
    const text = model && this.wantedText && this.store.get("texts").find(({ id }) => id === this.wantedText);
    this.wantedText = null;
    if (text) this.library.open(text);
    this.tellViews();
    if (text) this.writing.ahead(0);
    this.showAddress(this.store.get("text"));
  }

  setSettings(settings) {
    this.store.set({ settings });
    if (this.model) this.database.put("settings", { name: this.model.name, settings }).catch(() => {});
  }

  openText(text) {
    this.writing.stop();
    if (text.model !== this.model?.name && this.models.some(({ name, state }) => name === text.model && state === "ready")) {
      this.wantedText = text.id;
      return this.pick(text.model);
    }
    this.library.open(text);
    this.writing.ahead(0);
  }

  tellViews() {
    for (const view of this.open.values()) view.modelChanged?.(this.model);
  }

  make(kind) {
    const made = new kind(this);
    this.open.set(kind.id, made);
    this.main.append(made.element);
    made.modelChanged?.(this.model);
  }

  /** Another address, as a step that one can go back, or in place of this one. */
  address(hash, instead = false) {
    try {
      history[instead ? "replaceState" : "pushState"](null, "", hash);
    } catch {
      // a frame that has no address of its own
    }
  }

  async route(part = null) {
    const there = part ? { part, model: this.model?.name ?? null, text: null, unknown: null } : read(location.hash, this.parts);
    if (there.unknown) this.store.set({ trouble: new Error(t("This page has no part “{part}”; this is {name}.", { part: there.unknown, name: t(this.views[0].title) })) });
    const view = this.views.find(({ id }) => id === there.part);
    const entering = this.shown !== view.id;
    if (entering && this.shown) this.scrolled = { ...this.scrolled, [this.shown]: scrollY };
    this.shown = view.id;
    this.wanted = there.model ?? this.wanted;
    this.wantedText = there.text;
    this.store.set({ part: view.id });
    if (!this.open.has(view.id)) {
      const kind = view.load ? await view.load(this) : view; // a part comes when it is asked for
      if (this.shown !== view.id) return;
      if (!this.open.has(view.id)) this.make(kind);
    }
    for (const [name, made] of this.open) {
      made.element.hidden = name !== view.id;
      if (name !== view.id) made.left?.();
    }
    this.views.forEach((candidate, index) => {
      if (candidate === view) this.links[index].setAttribute("aria-current", "page");
      else this.links[index].removeAttribute("aria-current");
    });
    const model = there.model && this.models.find(({ name, state }) => name === there.model && state === "ready");
    if (model && model.name !== this.model?.name) this.choose(model);
    else if (there.text && there.text !== this.library.text?.id) {
      const text = this.store.get("texts").find(({ id }) => id === there.text);
      if (text) this.openText(text);
    }
    if (there.model && this.models.length && !model) this.store.set({ trouble: new Error(t("There is no model “{name}” here.", { name: there.model })) });
    this.open.get(view.id).entered?.();
    if (entering) scrollTo(0, this.scrolled?.[view.id] ?? 0);
    if (entering) this.showAddress(this.store.get("text"));
  }

  /** The address of what is shown; another text or model is a step that one can go back. */
  showAddress(text) {
    if (!this.model || !this.shown || (location.hash && read(location.hash, this.parts).part !== this.shown)) return; // on its way elsewhere
    const hash = address({ part: this.shown, model: this.model.name, text: text?.model === this.model.name && !text.auto ? text.id : null });
    if (hash === location.hash) return;
    const [, model] = location.hash.split("/");
    this.address(hash, model === undefined || !text || text.auto);
  }

  go(part) {
    location.hash = address({ part, model: this.model?.name });
  }

  /** Opens a view; returns it. */
  async show(part) {
    this.address(address({ part, model: this.model?.name }));
    await this.route(part);
    return this.open.get(part);
  }

  entitle() {
    const { part, model, text, training: there, here } = this.store.values;
    const training = there?.title ? there : here;
    const view = this.views.find(({ id }) => id === part);
    const what = part === "write" && text ? titleOf(text, t(view.title)) : t(view.title);
    document.title = [training?.title, this.keepsake?.title, what, (part === "write" && text?.model) || model?.name, "textwright"].filter(Boolean).join(" · ");
    const badge = this.links[this.parts.indexOf("train")]?.querySelector(".badge");
    if (badge) fill(badge, training?.badge ?? "").hidden = !training?.badge;
  }

  /** Says what went wrong, once, in sight wherever one is on the page. */
  complain() {
    const { trouble, lost } = this.store.values;
    const text = plain((lost ?? trouble)?.message ?? "");
    if (text === this.complaint) return;
    this.complaint = text;
    fill(this.toast, text && [el("span", {}, text), el("button", { type: "button", class: "quiet small", "aria-label": t("Close"), onclick: () => this.store.set({ trouble: null, lost: null }) }, "✕")]);
  }

  /** A file that is dropped beside a place for it doesn't replace the page. */
  dropped(event) {
    if (!event.dataTransfer?.types.includes("Files") || event.defaultPrevented) return;
    event.preventDefault();
    const { files } = event.dataTransfer;
    if (event.type === "drop" && this.has("train")) this.show("train").then((view) => view.choose(files));
  }
}

function optionText(model) {
  if (model.state === "ready") return [model.name, model.family].filter(Boolean).join(" · ");
  return `${model.name} · ${{ loading: t("is being loaded"), failed: t("failed") }[model.state] ?? ""}`;
}
