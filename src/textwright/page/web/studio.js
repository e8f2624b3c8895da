// The entry of the page on a server.

import { HttpApi } from "./api/http.js";
import { openPage } from "./app.js";
import { Copying } from "./parts/copying.js";
import { askKey } from "./parts/key.js";
import { WriteView } from "./views/write.js";
import { later, speak, t, wanted } from "./words.js";

const elsewhere = document.querySelector('meta[name="api"]')?.content;
const api = new HttpApi(elsewhere || new URL("..", location.href).href, askKey);

/** For the browser's console: `textwright.models()`. */
globalThis.textwright = api;

WriteView.Copying = Copying;

const learns = document.querySelector('meta[name="learns"]') !== null;

async function learnHere(page) {
  await (await import("./api/tab.js")).learnHere(page);
}

/** Models that were trained in this browser are there from the beginning. */
async function before(page) {
  if (learns && (await page.database.keys("runs").catch(() => [])).length) await learnHere(page);
}

async function train(page) {
  const { TrainView } = await import("./views/train.js");
  if (!learns) {
    TrainView.note = t("Training in this tab is not part of this installation; textwright doctor tells why.");
    return TrainView;
  }
  const [{ BothView }] = await Promise.all([import("./views/both.js"), learnHere(page)]);
  return BothView;
}

async function lookWithModels() {
  const [{ LookView }, { Models }] = await Promise.all([import("./views/look.js"), import("./views/models.js")]);
  LookView.more = { models: Models };
  return LookView;
}

async function open() {
  const language = wanted(navigator.languages, document.documentElement.dataset.languages.split(" "));
  const spoken = language && (await import(`./words/${language}.js`).catch(() => null));
  if (spoken) speak(language, spoken.words);
  await openPage(api, PARTS, { before });
}

const PARTS = [
  WriteView,
  { id: "chat", title: later("Chat"), icon: "chat", load: async () => (await import("./views/chat.js")).ChatView },
  { id: "train", title: later("Train"), icon: "train", load: train },
  { id: "watch", title: later("Watch it learn"), brief: later("Watch"), icon: "watch", load: async () => (await import("./views/watch.js")).WatchView },
  { id: "look", title: later("Look inside"), brief: later("Look"), icon: "look", load: lookWithModels },
  { id: "copied", title: later("Copied?"), icon: "copied", load: async () => (await import("./views/copied.js")).CopiedView },
  { id: "guess", title: later("Guess"), icon: "guess", load: async () => (await import("./views/guess.js")).GuessView },
];

open();
