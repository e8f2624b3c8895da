// The entry of the page on a server.

import { HttpApi } from "./api/http.js";
import { openPage } from "./app.js";
import { Copying } from "./parts/copying.js";
import { askKey } from "./parts/key.js";
import { WriteView } from "./views/write.js";

const elsewhere = document.querySelector('meta[name="api"]')?.content;
const api = new HttpApi(elsewhere || new URL("..", location.href).href, askKey);

/** For the browser's console: `textwright.models()`. */
globalThis.textwright = api;

WriteView.Copying = Copying;

async function lookWithModels() {
  const [{ LookView }, { Models }] = await Promise.all([import("./views/look.js"), import("./views/models.js")]);
  LookView.more = { models: Models };
  return LookView;
}

openPage(api, [
  WriteView,
  { id: "chat", title: "Chat", icon: "chat", load: async () => (await import("./views/chat.js")).ChatView },
  { id: "train", title: "Train", icon: "train", load: async () => (await import("./views/train.js")).TrainView },
  { id: "watch", title: "Watch it learn", brief: "Watch", icon: "watch", load: async () => (await import("./views/watch.js")).WatchView },
  { id: "look", title: "Look inside", brief: "Look", icon: "look", load: lookWithModels },
  { id: "copied", title: "Copied?", icon: "copied", load: async () => (await import("./views/copied.js")).CopiedView },
  { id: "guess", title: "Guess", icon: "guess", load: async () => (await import("./views/guess.js")).GuessView },
]);
