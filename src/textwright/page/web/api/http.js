// The client of a textwright server's HTTP API: this server, or another.

import { kept } from "../parts/dom.js";
import { packed } from "../state/tokens.js";
import { layersOf } from "./layers.js";
import { Pieces } from "./pieces.js";
import { t } from "../words.js";

const STATES = { Loaded: "ready", Unloaded: "ready", Loading: "loading", Failed: "failed" };
const ALTERNATIVES = 10;
const PIECE = 2000; // tokens a request: a server bounds them, and their alternatives

export class HttpApi {
  /** base: the server's URL; askKey(wrong): a promise of an API key. */
  constructor(base, askKey) {
    this.home = "studio";
    this.base = base.endsWith("/") ? base : `${base}/`;
    this.askKey = askKey;
    this.key = sessionKey(this.base);
    this.asking = null;
  }

  /** The models, each with `state` (ready, loading, failed) and `reason`. */
  async models() {
    const health = await (await this.fetch("health", { allowed: [503] })).json();
    const about = await (await this.fetch("api/models", { allowed: [404] })).json();
    return Object.entries(health.status).map(([name, { status, reason }]) => ({
      ...about.models?.[name], name, state: STATES[status], reason, asleep: status === "Unloaded",
    }));
  }

  /** Continues a prompt: yields {token}, then {end: reason}; {warnings} where there are any. */
  async *write(request, signal) {
    let { prompt, maxTokens: left, seed } = request;
    for (;;) {
      const count = Math.min(left, PIECE);
      let reason = "length";
      for await (const event of this.piece({ ...request, prompt, maxTokens: count, seed }, signal)) {
        if (event.token) prompt += event.token.text;
        if (event.end) reason = event.end;
        else yield event;
      }
      left -= count;
      seed += 1;
      if (reason !== "length" || left <= 0) return yield { end: reason };
    }
  }

  /** As `write`, in one request. */
  async *piece({ model, prompt, maxTokens, temperature, topK, topP, minP, repetitionPenalty, stop, seed, steer = [] }, signal) {
    const body = {
      model, prompt, temperature, stop, seed, max_tokens: maxTokens, top_k: topK, top_p: topP, min_p: minP,
      repetition_penalty: repetitionPenalty, stream: true, logprobs: ALTERNATIVES, steer,
    };
    const pieces = new Pieces();
    let end = "length";
    for await (const { choices: [choice], warnings = [] } of this.events("v1/completions", body, signal)) {
      if (warnings.length) yield { warnings };
      if (!choice) continue;
      for (const token of pieces.push(choice.text, choice.logprobs)) yield { token };
      end = choice.finish_reason ?? end;
    }
    for (const token of pieces.rest()) yield { token };
    yield { end };
  }

  /**
   * What the model makes of a text from a character on: {from, tokens, warnings, next, rest}.
   *
   * tokens: {start, end, shown, logprob, alts}; next: what may follow, [{text, logprob}], where
   * `following` asks for so many; rest: how many tokens are not among them.
   */
  async read({ model, text, start = 0, following = 0 }, signal) {
    const units = unitsOf(text);
    const body = { model, text, start: units ? units.indexOf(start) : start, top: ALTERNATIVES, following };
    const told = await (await this.fetch("api/read", { body, signal })).json();
    const place = (at) => (units ? units[at] : at);
    const tokens = [];
    let carried = 0; // bytes of one character are one token on the page
    for (const [from, to, shown, logprob, top] of told.tokens) {
      if (from === to) {
        carried += logprob ?? 0;
        continue;
      }
      const alts = packed(top.map(([other, value]) => ({ text: other, logprob: value })));
      tokens.push({ start: place(from), end: place(to), shown, logprob: logprob === null ? null : logprob + carried, alts });
      carried = 0;
    }
    const next = told.next?.map(([other, logprob]) => ({ text: other, logprob }));
    return { from: tokens[0] ? Math.min(tokens[0].start, start) : start, tokens, warnings: told.warnings, next, rest: told.rest };
  }

  /** Yields the pieces of a reply; warn(lines) is called with warnings. */
  async *chat({ model, messages, temperature, maxTokens }, signal, warn) {
    const body = { model, messages, temperature, max_tokens: maxTokens, stream: true };
    for await (const { choices: [choice], warnings } of this.events("v1/chat/completions", body, signal)) {
      if (warnings) warn(warnings);
      if (choice?.delta.content) yield choice.delta.content;
    }
  }

  /** Activations and attention over a text: {tokens, units, peaks, attention, warnings, cut}; see `layersOf`. */
  async look({ model, text }, signal) {
    const seen = await (await this.fetch("api/look", { body: { model, text }, signal })).json();
    const tokens = seen.tokens.map(({ top, ...token }) => ({ ...token, alts: packed(top) }));
    return { ...seen, tokens, ...layersOf(seen) };
  }

  /** The spans of a text that occur in the training text: {share, stretches, held_out, …}. */
  async copied(body, signal) {
    return (await this.fetch("api/copied", { body, signal })).json();
  }

  /** The players of a passage of the game of the next letter: {players}; one more with a `name`. */
  async guessed(body) {
    return (await this.fetch("api/guessed", { body })).json();
  }

  /** The history of a run's training: {samples, metrics}. */
  async timeline(body) {
    return (await this.fetch("api/timeline", { body })).json();
  }

  /** Whether training is allowed, and the latest training: {allowed, why, families, …, training}. */
  async training(signal) {
    return (await this.fetch("api/training", { body: { browser: browserName() }, signal })).json();
  }

  /** Uploads a text in pieces and starts a training; tell(share) is called with the share sent. */
  async train({ file, builtIn, family, minutes, begins, name }, tell) {
    const asked = { family, minutes, begins_with: begins, browser: browserName(), name };
    if (builtIn) return (await this.fetch("api/training/start", { body: { ...asked, built_in: builtIn } })).json();
    const { upload, piece } = await (await this.fetch("api/uploads", { body: { name: file.name, size: file.size } })).json();
    for (let at = 0; at < file.size; at += piece) {
      const bytes = await file.slice(at, at + piece).arrayBuffer().catch(() => {
        throw new Error(t("{name} can't be read: it is a folder, or it has changed. Choose the file again.", { name: file.name }));
      });
      await this.fetch(`api/uploads/piece?upload=${upload}&at=${at}`, { bytes });
      tell(Math.min(1, (at + piece) / file.size));
    }
    return (await this.fetch("api/training/start", { body: { ...asked, upload } })).json();
  }

  async stopTraining(number, atOnce) {
    return (await this.fetch("api/training/stop", { body: { number, at_once: atOnce, browser: browserName() } })).json();
  }

  /** Goes on with a training; `more`: minutes beyond what is done, also of one that has finished. */
  async resumeTraining(number, more = null) {
    const beyond = more === null ? {} : { more_minutes: more };
    return (await this.fetch("api/training/resume", { body: { number, browser: browserName(), ...beyond } })).json();
  }

  /** Where the report of a run's training is; null where that wants the key. */
  reportOf(model) {
    return this.key ? null : new URL(`api/report?model=${encodeURIComponent(model)}`, this.base).href;
  }

  /** Where others on the network find this page, {url, rows}: rows of a QR code; url null: nowhere, or the page is another server's. */
  async address() {
    if (new URL("..", location.href).href !== this.base) return { url: null, rows: [] };
    return (await this.fetch("api/address")).json();
  }

  /** A model and the page as one HTML file, a Blob. */
  async exported(model, signal) {
    return (await this.fetch("api/export", { body: { model }, signal })).blob();
  }

  /** Yields the server-sent events of a response; throws where it ends without `[DONE]`. */
  async *events(path, body, signal) {
    const answer = await this.fetch(path, { body, signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        held += value;
        const events = held.split("\n\n");
        held = events.pop();
        for (const event of events) {
          const data = event.replace(/^data: /, "");
          if (data === "[DONE]") return;
          const told = JSON.parse(data);
          if (told.error) throw new Error(told.error.message);
          yield told;
        }
      }
    } catch (error) {
      if (error instanceof TypeError) throw lost();
      throw error;
    } finally {
      reader.cancel().catch(() => {});
    }
    throw lost();
  }

  /** A response that is ok, or has a status in `allowed`; asks for an API key after a 401. */
  async fetch(path, { body, bytes, signal, allowed = [] } = {}) {
    for (;;) {
      const key = this.key;
      const headers = { accept: "application/json" };
      if (key) headers.authorization = `Bearer ${key}`;
      if (body || bytes) headers["content-type"] = body ? "application/json" : "application/octet-stream";
      let answer;
      try {
        answer = await fetch(new URL(path, this.base), {
          method: body || bytes ? "POST" : "GET", headers, signal, body: bytes ?? (body && JSON.stringify(body)), cache: "no-store",
        });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Error(t("The server doesn't answer. Is it still running?"));
      }
      if (answer.status === 401) {
        if (this.key === key) await this.newKey();
        continue;
      }
      if (answer.ok || allowed.includes(answer.status)) return answer;
      throw new Error(await reasonOf(answer));
    }
  }

  /** Asks for an API key, in one dialog for all requests that wait. */
  async newKey() {
    this.asking ??= this.askKey(Boolean(this.key)).finally(() => (this.asking = null));
    this.key = await this.asking;
    keepKey(this.base, this.key);
  }
}

/** Where each character of a text begins in it, and where it ends; null: each is one unit. */
function unitsOf(text) {
  if (!/[\ud800-\udfff]/.test(text)) return null;
  const units = [];
  let at = 0;
  for (const character of text) {
    units.push(at);
    at += character.length;
  }
  return [...units, at];
}

const lost = () => new Error(t("The server was lost in mid-text. What had come by then stays."));

async function reasonOf(answer) {
  try {
    const { error } = await answer.json();
    return error.message ?? error;
  } catch {
    return t("The server answered {status}", { status: `${answer.status} ${answer.statusText}` });
  }
}

/** This browser's random name: only it may stop the training that it started. */
function browserName() {
  made ??= kept.get("browser") ?? Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("");
  kept.set("browser", made);
  return made;
}

let made = null;

/** The API key for a server, stored for as long as the tab is open. */
function sessionKey(base) {
  try {
    return sessionStorage.getItem(`textwright.key ${base}`);
  } catch {
    return null;
  }
}

function keepKey(base, key) {
  try {
    sessionStorage.setItem(`textwright.key ${base}`, key);
  } catch {
    // no storage: it is lost with the page
  }
}
