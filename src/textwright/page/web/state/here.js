// The trainings of this tab: one, or two beside each other, and those that this browser has kept.

import { parentOf } from "../learning/parents.js";
import { readRun } from "../learning/readrun.js";
import { unzip, zip } from "../learning/zip.js";
import { t } from "../words.js";
import { hold } from "./holding.js";
import { Lesson } from "./lesson.js";
import { fileWith } from "./onefile.js";

const FRAME = 250; // milliseconds between two drawings

export class Here {
  /**
   * writers: the models of this tab. tools(): a promise of {makeWorker, wasm, tables, version};
   * file(): one of the page as one file, without a model.
   */
  constructor(page, writers, { tools, file }) {
    Object.assign(this, { page, store: page.store, database: page.database, writers, getTools: tools, lessons: [], turn: 0, opening: false, preparing: Promise.resolve() });
    Object.assign(writers, {
      timeline: ({ model }) => this.timeline(writers.runOf(model)),
      exported: async (name) => {
        const { data, load } = writers.known.get(name);
        return fileWith(await file(), data, await load());
      },
    });
    this.home = { database: this.database, tell: () => this.later() };
    document.addEventListener("visibilitychange", () => document.hidden || this.returned());
    addEventListener("beforeunload", (event) => this.lessons.some(({ unkept }) => unkept) && event.preventDefault());
  }

  get running() {
    return this.lessons.some((lesson) => lesson.running);
  }

  get busy() {
    return this.lessons.some((lesson) => lesson.busy);
  }

  get begun() {
    return this.lessons.some((lesson) => lesson.begun);
  }

  /** Reads what this browser has kept; its models are models of the page. */
  async begin() {
    await this.look();
    const load = async (name) => (await this.database.one("weights", name)).tensors;
    for (const { name, data } of this.store.get("here").runs) if (data) this.writers.add(data, () => load(name));
  }

  async look() {
    const runs = await this.database.all("runs").catch(() => []);
    this.set({ runs: runs.sort((a, b) => b.changed - a.changed) });
  }

  set(changes) {
    this.store.set({ here: { ...(this.store.get("here") ?? { runs: [], lessons: [], saying: "", problem: "" }), ...changes } });
  }

  later() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.now();
    }, FRAME);
  }

  now() {
    const lessons = this.lessons.map((lesson) => lesson.told);
    const running = lessons.filter((told) => told.running);
    const share = running.length ? Math.min(...running.map(({ step, steps }) => step / steps)) : 0;
    const percent = `${Math.floor(100 * share)}\u00a0%`;
    const before = this.store.get("here");
    if (before?.title && !running.length && this.store.get("part") !== "train") this.news = true;
    this.set({ lessons, title: running.length ? `${percent} ${t("learning")}` : this.news ? `${t("Trained")}!` : "", badge: running.length ? percent : this.news ? "●" : "" });
  }

  /** The page is looked at again. */
  returned() {
    for (const lesson of this.lessons) if (lesson.running) lesson.wake();
    if (this.running) this.later();
  }

  /**
   * Reads the text, measures, plans: for each of `asked` a training that may begin. The last call
   * counts, and begins when those before it are done: two that measure at once would both be wrong.
   */
  prepare(asked) {
    if (this.opening || (asked.length && this.begun)) return this.preparing; // what goes on came first
    const turn = ++this.turn;
    this.put([]);
    this.set({ problem: "" });
    this.preparing = this.preparing.then(() => turn === this.turn && asked.length && this.make(asked, turn));
    return this.preparing;
  }

  async make(asked, turn) {
    const made = [];
    try {
      await this.look(); // another tab may have trained
      const tools = await this.tools(asked.length);
      for (const one of asked) {
        if (turn !== this.turn) return;
        const lesson = await Lesson.prepare({ ...one, name: this.free(one.name, made) }, tools, this.home, (saying) => turn === this.turn && this.set({ saying }));
        made.push(lesson);
        if (one.factor !== 1) await lesson.training.setRate(one.factor);
      }
      if (turn === this.turn) this.put(made);
    } catch (error) {
      if (turn === this.turn) this.set({ problem: error.message });
    } finally {
      if (turn === this.turn) this.set({ saying: "" });
      else made.forEach((lesson) => lesson.close());
    }
  }

  async tools(count) {
    this.known ??= this.getTools();
    const cores = navigator.hardwareConcurrency || 2;
    return { ...(await this.known), workers: Math.max(1, Math.floor(cores / count)) };
  }

  put(lessons) {
    for (const lesson of this.lessons) if (!lessons.includes(lesson)) lesson.close();
    this.lessons = lessons;
    this.now();
  }

  /** A name that neither a model of the page nor a training has. */
  free(name, made) {
    const taken = new Set([...this.page.models.map((model) => model.name), ...this.store.get("here").runs.map((run) => run.name), ...made.map((lesson) => lesson.name)]);
    let free = name;
    for (let number = 2; taken.has(free); number++) free = `${name}-${number}`;
    return free;
  }

  /** Lets all that are planned or paused learn. */
  async start() {
    this.news = false;
    await this.look(); // since they were named another tab may have begun
    const lessons = [...this.lessons];
    for (const lesson of lessons) if (!lesson.begun) lesson.rename(this.free(lesson.name, lessons.filter((other) => other !== lesson)));
    await Promise.all(lessons.map((lesson) => this.learn(lesson)));
  }

  async learn(lesson) {
    const learning = lesson.run();
    this.later();
    await learning;
    await this.look();
    if (lesson.shown.metrics.length) await this.use(lesson);
    if (lesson.shown.phase === "finished") this.page.training.announce(`${t("Trained")}: ${lesson.name}`);
  }

  lesson(name) {
    return this.lessons.find((lesson) => lesson.name === name);
  }

  pause(name) {
    this.lesson(name).training.pause();
  }

  /** Ends one before its time; one that is paused looks a last time at what it has learned. */
  async stop(name) {
    const lesson = this.lesson(name);
    lesson.end();
    if (!lesson.running) await this.learn(lesson);
  }

  /** The rate as a multiple of the plan's. */
  setRate(name, factor) {
    return this.lesson(name).training.setRate(factor).catch(() => {}); // it ends just now: there is none left to set
  }

  async checkpoint(name) {
    const kept = await this.database.one("checkpoints", name);
    if (kept) return kept;
    await this.look();
    throw new Error(t("{name} is not kept in this browser any more", { name }));
  }

  /** A training that was interrupted, or stopped, goes on. */
  goOn(name) {
    return this.reopen(async (tools) => [await Lesson.reopen(await this.checkpoint(name), tools, this.home)]);
  }

  /** The training of a run folder that brings its text, which began elsewhere, goes on here. */
  goOnWith(run) {
    const settings = structuredClone(run.settings);
    return this.reopen(async (tools) => {
      const lesson = await Lesson.goOn({ ...run, settings }, tools, this.home);
      lesson.rename(this.free(run.name, []));
      return [lesson];
    });
  }

  async reopen(open) {
    this.turn++;
    this.opening = true;
    this.set({ problem: "" });
    try {
      this.put(await open(await this.tools(1)));
      this.opening = false;
      await this.start();
    } catch (error) {
      this.set({ problem: error.message });
    } finally {
      this.opening = false;
    }
  }

  /** What a training has learned, as a model of the page; `choose`: the one that is written with. */
  async use(lesson, choose = false) {
    const { data, tensors } = await lesson.training.model();
    this.writers.add(data, async () => tensors);
    await this.page.refresh(choose || !this.page.model ? this.shown(data.name) : null);
  }

  /** A model of the tab as something to begin with. */
  async parent(name) {
    const { data, load } = this.writers.known.get(name);
    return parentOf(data, await load());
  }

  /** A run folder in an archive, as something to begin with or to go on with. */
  async run(file) {
    return readRun(await unzip(new Uint8Array(await file.arrayBuffer()), file.name), file.name.replace(/\.zip$/i, ""));
  }

  /** The run folder of a training, as an archive. */
  async archive(name) {
    const open = this.lesson(name);
    const lesson = open && open.problem !== "elsewhere" ? open : (await Lesson.reopen(await this.checkpoint(name), await this.tools(1), this.home));
    const files = await lesson.training.files();
    if (!lesson.running) lesson.unkept = false;
    return new Blob([await zip(Object.fromEntries(Object.entries(files).map(([path, bytes]) => [`${name}/${path}`, bytes])))], { type: "application/zip" });
  }

  async timeline(name) {
    const { samples, metrics } = this.lesson(name)?.training ?? (name && (await this.database.one("runs", name))) ?? { samples: [], metrics: [] };
    return { samples, metrics };
  }

  /** What a training's model is called on the page. */
  shown(name) {
    return this.writers.shown(name);
  }

  async remove(name) {
    const letGo = await hold(name);
    this.set({ problem: letGo ? "" : t("It learns in another tab of this browser.") });
    if (!letGo) return;
    this.put(this.lessons.filter((lesson) => lesson.name !== name));
    for (const table of ["runs", "checkpoints", "weights"]) await this.database.drop(table, name).catch(() => {});
    letGo();
    this.writers.drop(name);
    await this.look();
    await this.page.refresh();
  }
}
