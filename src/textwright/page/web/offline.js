// The entry of the page as one file with the model inside.

import { OfflineApi } from "./api/offline.js";
import { openPage } from "./app.js";
import { LookView } from "./views/look.js";
import { WriteView } from "./views/write.js";
import { speak, wanted } from "./words.js";

const text = (id) => document.getElementById(id).textContent;
const api = new OfflineApi(JSON.parse(text("model")), text("weights"));

/** For the browser's console: `textwright.writer` is the model. */
globalThis.textwright = api;

const language = wanted(navigator.languages, Object.keys(globalThis.languages));
if (language) speak(language, globalThis.languages[language]);

const keepsake = document.getElementById("keepsake");
openPage(api, [WriteView, LookView], { keepsake: keepsake && JSON.parse(keepsake.textContent) });
