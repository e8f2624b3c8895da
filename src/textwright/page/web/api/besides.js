// Models of this tab beside those of a server: what is asked of one of them is answered here.

import { t } from "../words.js";

const ANSWERED = ["write", "read", "look", "timeline", "exported"];

/** The API with the tab's models; `writers` answers as the API does. The server's keep their names. */
export function besides(api, writers) {
  const asked = (request) => (typeof request === "string" ? request : request.model);
  const models = api.models.bind(api);
  let answered = false;
  api.models = async () => {
    try {
      const there = await models();
      answered = true;
      writers.yieldTo(there.map(({ name }) => name));
      return [...writers.list(), ...there];
    } catch (error) {
      if (answered || !writers.list().length) throw error;
      return writers.list(); // opened without its server
    }
  };
  for (const name of ANSWERED) {
    const there = api[name].bind(api);
    api[name] = (request, signal) => (writers.has(asked(request)) ? writers[name](request, signal) : there(request, signal));
  }
  const refuse = (name) => {
    if (writers.has(name)) throw new Error(t("{name} is in this browser alone: download it in Train, and ask textwright on a computer.", { name }));
  };
  const [chat, copied] = [api.chat.bind(api), api.copied.bind(api)];
  api.chat = async function* (request, ...rest) {
    refuse(request.model);
    yield* chat(request, ...rest);
  };
  api.copied = async (request, ...rest) => {
    refuse(request.model);
    return copied(request, ...rest);
  };
}
