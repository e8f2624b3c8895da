// What the page knows and does without a browser: `node state.mjs FOLDER`, as `runtime.mjs`. Prints
// nothing where all is well.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const load = (name) => import(new URL(`${name}.js`, `${pathToFileURL(process.argv[2])}/`));
const tokens = await load("state/tokens");
const texts = await load("state/texts");
const routes = await load("state/routes");
const tree = await load("state/tree");
const { Store } = await load("state/store");
const { placesOf } = await load("runtime/places");

const of = (...words) => words.map((text) => ({ text, logprob: -1 }));
const plain = (list) => list.map(({ text }) => text).join("|");

// an edit keeps what it doesn't touch, the same objects, and what is typed in a row is one token
const three = of("The ", "night", " was");
const cut = tokens.edited(three, 6, 9, "ew");
assert.equal(plain(cut), "The |ni|ew| was".replace("ni|ew", "ni|ew"));
assert.equal(cut[0], three[0]);
assert.equal(cut.at(-1), three[2]);
assert.equal(plain(tokens.edited(tokens.edited([], 0, 0, "a"), 1, 1, "b")), "ab");
assert.deepEqual(tokens.difference("The night", "The bright"), { from: 4, to: 5, inserted: "br" });
assert.equal(tokens.difference("same", "same"), null);
for (const [old, now] of [["aaa", "aa"], ["ab", "aab"], ["", "x"], ["x", ""], ["aXa", "aa"]]) {
  const { from, to, inserted } = tokens.difference(old, now);
  assert.equal(old.slice(0, from) + inserted + old.slice(to), now);
}

// what the model doesn't know stands alone, and keeps whose it is
const typed = tokens.edited(of("a"), 1, 1, "日b");
const read = tokens.reread(typed, { from: 0, tokens: [{ start: 0, end: 1, logprob: -1 }, { start: 2, end: 3, logprob: -2 }] });
assert.equal(plain(read), "a|日|b");
assert.deepEqual(read.map(({ unknown, own }) => [Boolean(unknown), Boolean(own)]), [[false, false], [true, true], [false, true]]);
const top = [{ text: " ", logprob: -0.5 }, { text: "x", logprob: -1.25 }];
assert.deepEqual(tokens.alternatives({ alts: tokens.packed(top) }), top);
assert.equal(tokens.shade(Math.log(0.99)), 0);
assert.equal(tokens.shade(Math.log(0.0001)), 7);

// branches, undo, files
let text = texts.newText({ id: "1", model: "m", now: 0, tokens: of("The ", "night") });
const first = text;
let history = texts.remembered(texts.noHistory, text, "write", 0);
text = texts.branched(text, 4, [{ text: "day", logprob: -2 }]);
assert.equal(texts.words(text), "The day");
assert.equal(text.nodes.length, 2);
const back = texts.undone(history, text);
assert.equal(texts.words(back.text), "The night");
assert.equal(texts.words(texts.redone(back.history, back.text).text), "The day");
history = texts.remembered(texts.remembered(texts.noHistory, first, "type", 0), text, "type", 100);
assert.equal(history.past.length, 1, "letters in a row are one step");
const again = texts.fromFile(texts.toFile(text), "2", 5);
assert.equal(texts.words(again), "The day");
assert.equal(again.nodes[1].parent, 1);
for (const broken of ["", "{}", '{"format": "textwright text 1", "nodes": [{"id": 1}]}']) assert.throws(() => texts.fromFile(broken, "3", 0));
assert.equal(texts.pruned(text, 2).nodes.length, 1);
assert.equal(texts.pruned(first, 1), first, "the last one stays");
const changed = texts.typed({ ...text, current: 1 }, { from: 0, to: 3, inserted: "A" });
assert.equal(changed.nodes[1].parent, null, "a branch from behind an edit stands alone");
const { items, links } = tree.layout(text);
assert.deepEqual([items.length, links.length], [2, 1]);
assert.equal(tree.layout(text, new Set([1])).items[0].more, 1);
assert.ok(tree.outline(text).includes("    day"));

// addresses: there and back, whatever a name holds
const parts = ["write", "look"];
for (const model of ["a/b", "<img>", "é 日", "100%"]) {
  assert.deepEqual(routes.read(routes.address({ part: "write", model, text: "t" }), parts), { part: "write", model, text: "t", unknown: null });
}
assert.equal(routes.read("#foo", parts).unknown, "foo");
assert.equal(routes.read("", parts).unknown, null);
assert.equal(routes.read("#write/%E0%A4%A", parts).model, "%E0%A4%A");

// what the command line says of a text that is too short, in the page's own words
const { plain: plainly } = await load("parts/reasons");
for (const said of ["set model.block_size below 128", "the validation conversations have no words of the assistant to learn", "1 tokens are too few to validate on"]) {
  assert.match(plainly(said), /^This text is too short/);
}
assert.equal(plainly("no space left"), "no space left");

// who is told of what
const store = new Store({ a: 1, b: 1 });
let told = 0;
const end = store.on(["a"], () => told++);
store.set({ b: 2 });
store.set({ a: 1 });
store.set({ a: 2, b: 3 });
end();
store.set({ a: 3 });
assert.equal(told, 2);

// places of tokens
const at = (...list) => list.map(({ start, end: to }) => [start, to]);
assert.deepEqual(at(...placesOf("a😀b", ["a", "b"], "char", (one) => one !== "😀")), [[0, 1], [3, 4]]);
assert.deepEqual(at(...placesOf("Hi you", [" Hi", " you"], "bpe")), [[0, 2], [2, 6]]);
assert.deepEqual(at(...placesOf("The  Night xyz ends", ["the", "night", "<unk>", "ends"], "word")), [[0, 3], [3, 10], [10, 14], [14, 19]]);

// the game of the next letter: what is hidden, and that a guess costs what it should
const guessing = await load("state/guessing");
for (const text of guessing.passages) {
  const { given, letters, rest } = guessing.hidden(text, [...text].map((letter, at) => ({ start: at, end: at + 1, logprob: Math.log(0.25) })));
  assert.equal(given + letters.map((one) => one.text).join("") + rest, text);
  assert.equal(letters.length, 24);
  assert.equal(letters[0].bits, 2);
}
assert.equal(guessing.bitsOf(0.5, true), 1);
assert.ok(guessing.bitsOf(0.9, false) > guessing.bitsOf(0.2, false));

// two models over one text, by character, whatever their tokens are
const comparing = await load("state/comparing");
const letters = comparing.bitsByCharacter("ab c", [{ start: 0, end: 1, logprob: -Math.LN2 }, { start: 1, end: 2, logprob: -Math.LN2 }, { start: 3, end: 4, logprob: null }]);
assert.deepEqual(letters, [1, 1, comparing.UNKNOWN, comparing.UNKNOWN]);
const whole = comparing.bitsByCharacter("ab c", [{ start: 0, end: 4, shown: "ab c", logprob: -8 * Math.LN2 }]);
assert.deepEqual(whole, [2, 2, 2, 2]);
assert.deepEqual(comparing.byWord("ab c", letters, whole), [{ word: "ab", difference: -1 }, { word: " ", difference: comparing.UNKNOWN - 2 }, { word: "c", difference: comparing.UNKNOWN - 2 }]);
