// A text's branches as a picture: places of nodes, left to right, and the lines between them.

import { joined } from "./tokens.js";
import { firstOwn, opening } from "./texts.js";

const COLUMN = 190;
const ROW = 46;

/**
 * {items: [{node, x, y, label, share, more, branches}], links: [{from, to, share}], width, height}.
 *
 * `folded` holds the ids of nodes whose branches are not shown. share: the probability, on (geometric) average,
 * of the tokens of the branch's own.
 */
export function layout(text, folded = new Set()) {
  const children = new Map();
  for (const node of text.nodes) children.set(node.parent, [...(children.get(node.parent) ?? []), node]);
  const items = [];
  const links = [];
  let row = 0;
  const walk = (node, depth, from) => {
    const below = folded.has(node.id) ? [] : (children.get(node.id) ?? []).sort((a, b) => a.at - b.at || a.id - b.id);
    const item = { node, x: depth * COLUMN, y: 0, label: opening(node, 24), share: shareOf(node), more: folded.has(node.id) ? count(children, node.id) : 0, branches: children.get(node.id)?.length ?? 0 };
    items.push(item);
    if (from) links.push({ from, to: item, share: item.share });
    item.y = row * ROW;
    if (!below.length) row++;
    for (const child of below) walk(child, depth + 1, item);
    if (below.length) item.y = (items.find((one) => one.node === below[0]).y + items.find((one) => one.node === below.at(-1)).y) / 2;
  };
  for (const root of children.get(null) ?? []) walk(root, 0, null);
  return { items, links, width: Math.max(...items.map(({ x }) => x)) + COLUMN, height: Math.max(1, row) * ROW };
}

const count = (children, id) => (children.get(id) ?? []).reduce((sum, child) => sum + 1 + count(children, child.id), 0);

/** The geometric mean of the probabilities of a branch's first tokens; null without any. */
function shareOf(node) {
  const own = node.tokens.slice(firstOwn(node)).filter(({ logprob }) => logprob != null).slice(0, 40);
  return own.length ? Math.exp(own.reduce((sum, { logprob }) => sum + logprob, 0) / own.length) : null;
}

/** A tree as text: every branch indented below what it left, in full. */
export function outline(text) {
  const lines = [];
  const walk = (node, depth) => {
    const own = joined(node.tokens).slice(node.parent === null ? 0 : node.at);
    lines.push(...own.split("\n").map((line) => `${"    ".repeat(depth)}${line}`), "");
    for (const child of text.nodes.filter(({ parent }) => parent === node.id)) walk(child, depth + 1);
  };
  for (const root of text.nodes.filter(({ parent }) => parent === null)) walk(root, 0);
  return `${lines.join("\n").trimEnd()}\n`;
}
