// The page around the views: the list of models, the navigation, the theme.

import { el, fill, grouped, icon, kept, svg } from "./parts/dom.js";
import { notice } from "./parts/fields.js";

/** Builds the page; `views` are classes with static `id`, `title`, `icon`, optionally `brief`. */
export async function openPage(api, views) {
  const page = new Page(api, views);
  document.body.append(page.element);
  await page.start();
}

class Page {
  constructor(api, views) {
    this.api = api;
    this.views = views;
    this.models = [];
    this.model = null;
    this.open = new Map();
    this.about = el("p", { class: "about" });
    this.picker = el("select", { class: "picker", "aria-label": "Model", onchange: () => this.pick(this.picker.value) });
    this.links = views.map((view) =>
      el("a", { href: `#${view.id}`, class: "tab", "aria-label": view.title, title: view.title }, icon(view.icon), el("span", { class: "full" }, view.title), el("span", { class: "brief" }, view.brief ?? view.title)),
    );
    this.notice = notice();
    this.main = el("main", { id: "main", tabIndex: -1 }, this.notice);
    this.element = el(
      "div",
      { class: `page ${api.home}` },
      el("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); this.main.focus(); } }, "To the text"),
      el(
        "header",
        { class: "top" },
        el("span", { class: "wordmark" }, mark(), el("span", {}, "textwright")),
        el("nav", { class: "tabs", "aria-label": "Parts of the page" }, this.links),
        this.picker,
        themeSwitch(),
      ),
      this.main,
    );
    addEventListener("hashchange", () => this.route());
  }

  async start() {
    this.route();
    await this.refresh();
    if (this.api.home !== "offline") this.follow();
  }

  /** Polls the list of models, which changes while the page is open. */
  async follow() {
    const soon = this.trouble || this.models.some(({ state }) => state === "loading") || !this.model;
    await new Promise((resolve) => setTimeout(resolve, soon ? 1500 : 10000));
    if (!document.hidden && document.activeElement !== this.picker) await this.refresh();
    this.follow();
  }

  /** Updates the list of models; keeps the selected one, or selects `name`. */
  async refresh(name = null) {
    const before = JSON.stringify([this.models, this.trouble?.message]);
    try {
      this.models = await this.api.models();
      this.trouble = null;
    } catch (error) {
      this.trouble = error;
    }
    this.notice.say(this.trouble);
    if (name === null && this.asked && JSON.stringify([this.models, this.trouble?.message]) === before) return;
    this.asked = true;
    const wanted = name ?? this.model?.name ?? kept.get("model");
    const ready = this.models.filter((model) => model.state === "ready");
    const suits = (model) => Boolean(model.talks) === (location.hash === "#chat");
    const chosen = ready.find((model) => model.name === wanted) ?? ready.find(suits) ?? ready[0] ?? null;
    fill(this.picker, this.models.map((model) => el("option", { value: model.name, disabled: model.state !== "ready" }, optionText(model))));
    this.picker.hidden = this.api.home === "offline";
    if (!this.models.length) fill(this.picker, el("option", { value: "" }, "no model yet"));
    if (chosen) this.picker.value = chosen.name;
    this.model = chosen;
    this.tellViews();
  }

  pick(name) {
    this.model = this.models.find((model) => model.name === name) ?? null;
    this.picker.value = name;
    kept.set("model", name);
    this.tellViews();
  }

  tellViews() {
    for (const view of this.open.values()) view.modelChanged?.(this.model);
    if (this.api.home === "offline" && this.model) document.title = `${this.model.name} · textwright`;
  }

  route() {
    const id = location.hash.slice(1);
    const view = this.views.find((candidate) => candidate.id === id) ?? this.views[0];
    if (!this.open.has(view.id)) {
      const made = new view(this);
      this.open.set(view.id, made);
      made.modelChanged?.(this.model);
      this.main.append(made.element);
    }
    for (const [name, made] of this.open) {
      made.element.hidden = name !== view.id;
      if (name !== view.id) made.left?.();
    }
    this.views.forEach((candidate, index) => {
      if (candidate === view) this.links[index].setAttribute("aria-current", "page");
      else this.links[index].removeAttribute("aria-current");
    });
    this.open.get(view.id).entered?.();
  }

  go(id) {
    location.hash = id;
  }

  /** Opens a view at once; returns it. */
  show(id) {
    history.pushState(null, "", `#${id}`);
    this.route();
    return this.open.get(id);
  }
}

/** A line that describes a model. */
export function described(model) {
  if (!model) return "";
  const reads = { char: "characters", word: "words", bpe: "byte pairs" }[model.tokenizer];
  return [
    model.family,
    model.parameters && `${grouped(model.parameters)} parameters`,
    reads && `${grouped(model.vocab_size)} ${reads}`,
    model.block_size && `sees ${grouped(model.block_size)} at a time`,
  ].filter(Boolean).join(" · ");
}

function optionText(model) {
  if (model.state === "ready") return [model.name, model.family, model.asleep && "asleep"].filter(Boolean).join(" · ");
  return `${model.name} · ${model.state}${model.reason ? `: ${model.reason}` : ""}`;
}

function mark() {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "mark", "aria-hidden": "true" },
    svg("path", { class: "ink", d: "M12 7v11" }), svg("path", { class: "gold", d: "M5 7h14" }), svg("path", { class: "rose", d: "M8.500 18h7" }),
  );
}

/** Switches the theme, which follows the system's until it is used. */
function themeSwitch() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const chosen = kept.get("theme");
  if (chosen) root.dataset.theme = chosen;
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const button = el("button", { class: "theme", type: "button", onclick: () => {
    root.dataset.theme = dark() ? "light" : "dark";
    kept.set("theme", root.dataset.theme);
    changed();
  } });
  const show = () => {
    fill(button, icon(dark() ? "sun" : "moon"));
    button.setAttribute("aria-label", dark() ? "Light colours" : "Dark colours");
    button.title = button.getAttribute("aria-label");
  };
  const changed = () => {
    show();
    document.dispatchEvent(new Event("theme")); // canvases are redrawn in its colours
  };
  system.addEventListener("change", changed);
  show();
  return button;
}
