// The branches of a text, drawn: pan, zoom, keyboard, folding.

import { el, fill, percent, svg } from "./dom.js";
import { layout } from "../state/tree.js";
import { many, t } from "../words.js";

const WIDE = 168; // of a box
const TALL = 34;

export class Branches {
  /** onshow(id): a branch was chosen. */
  constructor({ onshow }) {
    this.onshow = onshow;
    this.folded = new Set();
    this.zoom = 1;
    this.picture = svg("svg", { role: "tree", "aria-label": t("Branches") });
    this.frame = el("div", { class: "treeframe", onkeydown: (event) => this.key(event), onwheel: (event) => this.wheel(event), onpointerdown: (event) => this.grab(event) }, this.picture);
    this.element = this.frame;
  }

  show(text) {
    if (this.text?.nodes === text.nodes && this.text.current === text.current) return;
    const focused = this.picture.contains(document.activeElement);
    this.text = text;
    const { items, links, width, height } = layout(text, this.folded);
    this.items = items;
    this.size = { width: width + 8, height: height + 8 };
    fill(this.picture,
      ...links.map(({ from, to, share }) => svg("path", { class: "link", d: curve(from, to), "stroke-width": (1 + 9 * (share ?? 0.1)).toFixed(1) })),
      ...items.map((item) => this.box(item)));
    this.fit();
    const here = this.picture.querySelector('[aria-selected="true"]');
    if (focused) here?.focus({ preventScroll: true });
    const at = items.find(({ node }) => node.id === text.current);
    if (at) this.frame.scrollTo({ left: at.x * this.zoom - 80, top: at.y * this.zoom - this.frame.clientHeight / 2 + 20 });
  }

  box({ node, x, y, label, share, more, branches }) {
    const here = node.id === this.text.current;
    const group = svg("g", {
      role: "treeitem", class: `branch${here ? " here" : ""}${node.star ? " star" : ""}`, transform: `translate(${x + 4} ${y + 6})`, tabindex: here ? 0 : -1, "data-id": node.id,
      "aria-selected": String(here), "aria-label": `${node.name || label}${share === null ? "" : `, ${percent(share)}`}`, ...(branches ? { "aria-expanded": String(!more) } : {}),
    },
    svg("rect", { width: WIDE, height: TALL, rx: 9 }),
    svg("text", { x: 10, y: 15 }, `${node.star ? "★ " : ""}${short(node.name || label)}`),
    svg("text", { x: 10, y: 28, class: "fine" }, [share !== null && percent(share), more && many(more, "{count} folded", "{count} folded")].filter(Boolean).join(" · ")),
    svg("title", {}, label));
    group.addEventListener("click", () => this.moved || this.onshow(node.id));
    group.addEventListener("dblclick", () => this.fold(node.id));
    return group;
  }

  fold(id) {
    if (!this.folded.delete(id)) this.folded.add(id);
    const text = this.text;
    this.text = null;
    this.show(text);
  }

  key(event) {
    const at = this.items.findIndex(({ node }) => String(node.id) === document.activeElement?.dataset?.id);
    if (at < 0) return;
    const { node } = this.items[at];
    const go = (item) => item && this.picture.querySelector(`[data-id="${item.node.id}"]`)?.focus();
    const moves = {
      ArrowDown: () => go(this.items[at + 1]), ArrowUp: () => go(this.items[at - 1]), Home: () => go(this.items[0]), End: () => go(this.items.at(-1)),
      ArrowLeft: () => go(this.items.find((item) => item.node.id === node.parent)), ArrowRight: () => go(this.items.find((item) => item.node.parent === node.id)),
      Enter: () => this.onshow(node.id), " ": () => this.onshow(node.id), f: () => { this.fold(node.id); go({ node }); },
      "+": () => this.scale(1.25), "-": () => this.scale(0.8),
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    moves[event.key]();
  }

  scale(by) {
    this.zoom = Math.min(2, Math.max(0.3, this.zoom * by));
    this.fit();
  }

  fit() {
    this.picture.setAttribute("viewBox", `0 0 ${this.size.width} ${this.size.height}`);
    this.picture.setAttribute("width", this.size.width * this.zoom);
    this.picture.setAttribute("height", this.size.height * this.zoom);
  }

  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.scale(event.deltaY < 0 ? 1.1 : 0.9);
  }

  /** Pans with the pointer. */
  grab(event) {
    this.moved = false;
    if (event.pointerType === "touch" || event.button) return;
    const { scrollLeft, scrollTop } = this.frame;
    const move = (now) => {
      if (Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > 4) this.moved = true;
      this.frame.scrollTo(scrollLeft + event.clientX - now.clientX, scrollTop + event.clientY - now.clientY);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  }

  /** The picture by itself, as a file. */
  file() {
    const copy = this.picture.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.insertBefore(svg("style", {}, "text{font:13px Georgia,serif;fill:#23211d}.fine{font-size:10px;fill:#6a645a}rect{fill:#fffefb;stroke:#cfc8ba}.here rect{stroke:#a4501c;stroke-width:2}.link{fill:none;stroke:#d9b27c}"), copy.firstChild);
    return new XMLSerializer().serializeToString(copy);
  }
}

const short = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

function curve(from, to) {
  const [x1, y1, x2, y2] = [from.x + 4 + WIDE, from.y + 6 + TALL / 2, to.x + 4, to.y + 6 + TALL / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}
