// Models of this tab beside those of a server: what is asked of one of them is answered here.

import { t } from "../words.js";

const ANSWERED = ["write", "read", "look", "timeline", "exported"];
const ELSEWHERE = ["chat", "copied"];

/** The API with the tab's models; `writers` answers as the API does. */
export function besides(api, writers) {
  const asked = (request) => (typeof request === "string" ? request : request.model);
  const models = api.models.bind(api);
  let answered = false;
  api.models = async () => {
    const here = writers.list();
    try {
      const there = await models();
      answered = true;
      return [...here, ...there];
    } catch (error) {
      if (answered || !here.length) throw error;
      return here; // opened without its server
    }
  };
  for (const name of ANSWERED) {
    const there = api[name].bind(api);
    api[name] = (request, signal) => (writers.has(asked(request)) ? writers[name](request, signal) : there(request, signal));
  }
  for (const name of ELSEWHERE) {
    const there = api[name].bind(api);
    api[name] = (request, ...rest) => {
      if (!writers.has(request.model)) return there(request, ...rest);
      throw new Error(t("{name} is in this browser alone: download it in Train, and ask textwright on a computer.", { name: request.model }));
    };
  }
}
