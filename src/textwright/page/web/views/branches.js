// The texts generated so far, as a tree of branches.

import { el, fill, percent, visible } from "../parts/dom.js";

const MOST = 200; // texts in the tree, at most

export class Branches {
  constructor(onshow) {
    this.onshow = onshow;
    this.nodes = [];
    this.last = 0;
    this.current = null;
    this.list = el("ul", { class: "tree", role: "tree", "aria-label": "Branches", onkeydown: (event) => this.key(event) });
    this.element = el(
      "aside", { class: "branches", "aria-label": "Branches taken" },
      el("h2", {}, "Branches"), this.list,
      el("p", { class: "hint" }, "Every text you write stays here. Choose another token in one, and a branch grows from it."),
    );
  }

  add(node) {
    const full = { ...node, id: ++this.last };
    this.nodes.push(full);
    if (this.nodes.length > MOST) this.drop(this.nodes[0]);
    this.mark(full);
    return full;
  }

  /** Removes a text; its children become roots. */
  drop(node) {
    this.nodes = this.nodes.filter((other) => other !== node);
    for (const other of this.nodes) if (other.parent === node.id) other.parent = null;
  }

  mark(node) {
    this.current = node.id;
    this.draw();
  }

  /** The indexes of `node`'s tokens at which a branch begins. */
  forks(node) {
    const places = new Set(this.nodes.filter(({ parent }) => parent === node.id).map(({ at }) => at));
    const found = [];
    let place = 0;
    node.tokens.forEach((token, index) => {
      if (places.has(place)) found.push(index);
      place += token.text.length;
    });
    return found;
  }

  draw() {
    const focused = this.list.contains(document.activeElement);
    fill(this.list, this.nodes.filter(({ parent }) => parent === null).map((node) => this.item(node, 1)));
    if (focused) this.list.querySelector("[aria-current]")?.focus();
  }

  item(node, level) {
    const children = this.nodes.filter(({ parent }) => parent === node.id);
    const here = node.id === this.current;
    const button = el(
      "button",
      { type: "button", class: "node", tabIndex: here ? 0 : -1, "aria-current": here ? "true" : null, "data-id": node.id, onclick: () => this.onshow(node) },
      el("span", { class: "line" },
        node.instead && el("b", { class: "chip" }, visible(node.instead.text)),
        node.instead && el("span", { class: "share" }, percent(node.instead.probability)),
        el("span", { class: "words" }, opening(node))),
      el("span", { class: "small" }, `${node.model} · ${node.temperature}`),
    );
    return el(
      "li", { role: "treeitem", "aria-level": String(level), "aria-expanded": children.length ? "true" : null, "aria-selected": String(here) },
      button,
      children.length ? el("ul", { role: "group" }, children.map((child) => this.item(child, level + 1))) : null,
    );
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...this.list.querySelectorAll(".node")];
    all[all.indexOf(document.activeElement) + step]?.focus();
  }
}

/** The first words of a text after its branching point. */
function opening(node) {
  const from = node.parent === null ? 0 : node.at + (node.instead?.text.length ?? 0);
  const text = node.tokens.map((token) => token.text).join("") || node.prompt;
  return text.slice(from, from + 60).replace(/\s+/g, " ").trim() || "…";
}
