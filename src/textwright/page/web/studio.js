// The entry of the page on a server.

import { HttpApi } from "./api/http.js";
import { openPage } from "./app.js";
import { askKey } from "./parts/key.js";
import { ChatView } from "./views/chat.js";
import { CopiedView } from "./views/copied.js";
import { LookView } from "./views/look.js";
import { TrainView } from "./views/train.js";
import { WatchView } from "./views/watch.js";
import { WriteView } from "./views/write.js";

const elsewhere = document.querySelector('meta[name="api"]')?.content;
const api = new HttpApi(elsewhere || new URL("..", location.href).href, askKey);

/** For the browser's console: `textwright.models()`. */
globalThis.textwright = api;

openPage(api, [WriteView, ChatView, TrainView, WatchView, LookView, CopiedView]);
