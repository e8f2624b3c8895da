// Train, here in this tab: chooses a text, plans, and shows what learns; one training, or two beside each other.

import { clock, el, fill, kept } from "../parts/dom.js";
import { field, form, notice, numberField, selectField } from "../parts/fields.js";
import { help } from "../parts/help.js";
import { KeptRuns } from "../parts/keptruns.js";
import { LessonPart } from "../parts/lesson.js";
import { save } from "../parts/saving.js";
import { Source } from "../parts/source.js";
import { traces } from "../parts/traces.js";
import { sizes } from "../learning/plan.js";
import { nameFrom } from "../learning/runfolder.js";
import { sums } from "../state/numbers.js";
import { decimal, grouped, later, many, t } from "../words.js";

const MOST = 8_000_000; // bytes of a text: a tab has little room
const SOON = 50; // milliseconds after a change until a plan is made
const TYPED = 800; // the same while somebody types
const UNREAD = /\.(epub|docx|pdf|parquet|gz|bz2|xz|html?|xhtml)$/i;
const ENDINGS = ".txt,.text,.md,.rst,.tex,.log,.csv,.json,.jsonl,.ndjson,text/plain";
const FAMILIES = ["lstm", "gpt"];
const SIZES = { pico: later("quicker"), nano: later("learns more") };
const RUN = "a run";

export class HereView {
  static id = "train";
  static title = later("Train");
  static icon = "train";

  constructor(page) {
    const { here, store } = page;
    Object.assign(this, { page, here, parts: new Map() });
    this.notice = notice();
    const say = (error) => this.notice.say(error);
    const changed = () => this.changed(SOON);
    this.source = new Source({ onchange: () => this.changed(this.source?.kind === "paste" ? TYPED : SOON), say, note: t("Your text never leaves this tab."), endings: ENDINGS });
    this.source.turn("file");
    this.source.offer({ built_ins: [{ name: "sums", title: t("Sums in words: learned in seconds"), size: sums().length, near: true }], most_bytes: MOST });
    this.minutes = numberField(t("Minutes"), { value: kept.get("minutes", "2"), min: 0.1, max: 600, empty: 2 });
    this.kind = selectField(t("Kind of model"), FAMILIES.flatMap((family) => sizes(family).map((size) => [`${family} ${size}`, `${family} ${size} · ${t(SIZES[size])}`])), { value: kept.get("kind", `${FAMILIES[0]} nano`) });
    this.begins = selectField(t("Begins knowing"), [["", t("nothing")]]);
    this.beside = selectField(t("Beside it"), []);
    this.name = field(t("Name"), el("input", { type: "text", autocomplete: "off", maxLength: 60, oninput: () => this.changed(TYPED) }), t("empty: the text's"));
    for (const each of [this.minutes, this.kind, this.begins, this.beside]) each.addEventListener("change", changed);
    this.begins.input.addEventListener("change", () => this.begins.read() === RUN && !this.run && this.archive.click());
    this.kind.input.addEventListener("change", () => this.offerBeside());
    this.archive = el("input", { type: "file", accept: ".zip,application/zip", hidden: true, onchange: () => this.takeRun(this.archive.files[0]) });
    this.goesOn = el("button", { type: "button", hidden: true, onclick: () => this.here.goOnWith(this.run) });
    this.go = el("button", { class: "primary", type: "submit", disabled: true }, t("Train"));
    this.plan = el("div", { class: "plan", role: "status" });
    this.form = form({ class: "desk", onsubmit: (event) => { event.preventDefault(); this.train(); } }, this.source.element,
      el("div", { class: "controls" }, this.minutes, this.kind, this.begins, this.beside, this.name, el("div", { class: "actions" }, this.go, this.goesOn)), this.plan, this.archive);
    this.lessons = el("div", { class: "lessons" });
    this.curves = el("div", { class: "curves" });
    this.side = el("aside", { class: "side" }, el("h2", {}, t("Bits a character"), help("bits")), this.curves);
    this.show = el("div", { class: "show", hidden: true }, this.lessons, this.side);
    this.again = el("button", { type: "button", class: "again", hidden: true, onclick: () => this.anew() }, t("Train another one"));
    this.runs = new KeptRuns({ ongoon: (name) => this.goOn(name), onopen: (name, part) => this.open(name, part), ondownload: (name) => this.download(name), onsave: (name) => this.save(name), onremove: (name) => here.remove(name) });
    this.element = el("section", { class: "view plain train here", "aria-label": t("Train"), ...this.source.dropsTo((files) => this.choose(files)) },
      el("h1", {}, t("Train a model on a text")), this.runs.interrupted, this.form, this.notice, this.show, this.again, this.runs.element);
    this.offerBeside();
    store.on(["here"], ({ here: told }) => this.draw(told));
  }

  entered() {
    this.here.news = false;
    this.here.now();
    if (!this.planned) this.changed(SOON);
  }

  /** What one may begin with: the models of this tab. */
  modelChanged() {
    const chosen = this.begins.read();
    const known = this.here.writers.list().map(({ name }) => [name, t("what {name} knows", { name })]);
    const options = [["", t("nothing")], ...known, [RUN, this.run ? t("the run {name}", { name: this.run.name }) : t("a run that I have (.zip) …")]];
    fill(this.begins.input, options.map(([value, text]) => el("option", { value }, text)));
    this.begins.input.value = options.some(([value]) => value === chosen) ? chosen : "";
    const step = this.run?.text ? this.run.checkpoint?.state.step : undefined;
    this.goesOn.hidden = !(step < this.run?.settings?.plan?.steps);
    this.goesOn.textContent = t("Go on with {name} from step {step}", { name: this.run?.name ?? "", step: grouped(step ?? 0) });
  }

  offerBeside() {
    const [family, size] = this.kind.read().split(" ");
    const others = FAMILIES.filter((other) => other !== family).map((other) => [`${other} ${size}`, t("the same as {kind}", { kind: other })]);
    const chosen = this.beside.read();
    const options = [["", t("no other")], ...others, ["×3", t("the same, learning at 3 times the rate")], ["×0.3", t("the same, learning at a third of the rate")]];
    fill(this.beside.input, options.map(([value, text]) => el("option", { value }, text)));
    this.beside.input.value = options.some(([value]) => value === chosen) ? chosen : "";
  }

  choose(files) {
    if (this.here.busy) return this.notice.say(t("A training is under way; stop it first."));
    if (/\.zip$/i.test(files[0].name)) return this.takeRun(files[0]);
    this.notice.say("");
    if (UNREAD.test(files[0].name)) return this.notice.say(t("{name}: a tab reads plain text alone; save it as a .txt file first.", { name: files[0].name }));
    this.anew();
    this.source.choose(files);
  }

  /** An archive with a run, to begin with. */
  async takeRun(file) {
    this.archive.value = "";
    this.notice.say("");
    try {
      this.run = file ? await this.here.run(file) : null;
    } catch (error) {
      this.run = null;
      this.notice.say(error);
    }
    this.modelChanged();
    this.begins.input.value = this.run ? RUN : "";
    this.anew();
  }

  /** Something of the form is another: the plan is made anew, in a moment. */
  changed(wait) {
    clearTimeout(this.timer);
    if (!this.form || this.here.begun) return;
    this.planned = this.wished = false;
    this.here.prepare([]); // what was planned is so no longer
    if (this.source.read()) this.timer = setTimeout(() => this.prepare(), wait);
  }

  async prepare() {
    this.notice.say("");
    try {
      const asked = await this.asked();
      this.planned = true;
      await this.here.prepare(asked);
      if (this.wished && this.here.lessons.length) await this.train();
    } catch (error) {
      this.notice.say(error);
    }
  }

  /** One or two trainings, as `TabTraining.prepare` takes them; `factor` multiplies the planned rates. */
  async asked() {
    const { builtIn, file } = this.source.read();
    if (file && UNREAD.test(file.name)) throw new Error(t("{name}: a tab reads plain text alone; save it as a .txt file first.", { name: file.name }));
    const text = builtIn ? { text: sums(), source: t("sums") } : { bytes: new Uint8Array(await file.arrayBuffer()), source: file.name };
    const begins = this.begins.read();
    const parent = begins === RUN ? this.run : begins ? await this.here.parent(begins) : null;
    const [family, size] = this.kind.read().split(" ");
    const name = nameFrom(this.name.querySelector("input").value.trim() || text.source);
    const one = { ...text, name, minutes: this.minutes.read(), family, size, parent, factor: 1 };
    const beside = this.beside.read();
    if (!beside) return [one];
    if (beside.startsWith("×")) return [one, { ...one, name: `${name}-${beside.slice(1)}`, factor: Number(beside.slice(1)) }];
    const [other, itsSize] = beside.split(" ");
    return [one, { ...one, name: `${name}-${other}`, family: other, size: itsSize }];
  }

  /** Begins; where the plan is still being made, as soon as that is there. */
  async train() {
    if (this.go.disabled || this.here.running) return;
    this.wished = !this.here.lessons.length;
    if (this.wished) return;
    for (const [name, value] of [["minutes", this.minutes.read()], ["kind", this.kind.read()]]) kept.set(name, value);
    this.notice.say("");
    await this.here.start();
  }

  async goOn(name) {
    if (this.here.running) return this.notice.say(t("A training is under way; stop it first."));
    const lesson = this.here.lesson(name);
    await (lesson ? this.here.learn(lesson) : this.here.goOn(name));
  }

  /** Away with what has ended. */
  anew() {
    this.here.prepare([]);
    this.changed(SOON);
  }

  async open(name, part) {
    const lesson = this.here.lesson(name);
    if (lesson) await this.here.use(lesson, true);
    await this.page.pick(this.here.shown(name));
    this.page.go(part);
  }

  async download(name, part = null) {
    try {
      save(await this.here.archive(name), `${name}.zip`);
      part?.showCommands(name);
    } catch (error) {
      this.notice.say(error);
    }
  }

  async save(name) {
    try {
      const lesson = this.here.lesson(name);
      if (lesson) await this.here.use(lesson);
      save(await this.page.api.exported(this.here.shown(name)), `${name}.html`);
    } catch (error) {
      this.notice.say(error);
    }
  }

  draw({ lessons, runs, saying, problem }) {
    const shown = lessons.filter(({ phase, running, problem }) => running || problem || phase !== "planned");
    this.form.hidden = shown.length > 0;
    if (problem) this.notice.say(problem);
    this.go.disabled = !this.source.read() || shown.length > 0;
    this.drawPlan(lessons, saying);
    this.show.hidden = !shown.length;
    this.again.hidden = !shown.length || shown.some(({ busy }) => busy);
    this.runs.show(runs, lessons);
    for (const [name, part] of this.parts) {
      if (shown.some((one) => one.name === name)) continue;
      part.element.remove();
      this.parts.delete(name);
    }
    for (const told of shown) {
      if (!this.parts.has(told.name)) this.parts.set(told.name, this.part(told.name));
      this.parts.get(told.name).show(told);
    }
    if (!shown.length) return;
    this.show.classList.toggle("two", shown.length > 1);
    fill(this.curves, shown.some(({ losses }) => losses.length > 1) ? traces(shown) : el("p", { class: "hint" }, t("The curve begins in a moment.")));
  }

  part(name) {
    const part = new LessonPart(name, {
      pause: (which) => this.here.pause(which), stop: (which) => this.here.stop(which), goOn: (which) => this.goOn(which),
      open: (which, where) => this.open(which, where), download: (which, of) => this.download(which, of), save: (which) => this.save(which),
      rate: (which, factor) => this.here.setRate(which, factor), temperature: (which, value) => this.here.lesson(which).training.setTemperature(value),
    });
    this.lessons.append(part.element);
    return part;
  }

  /** What would be done, in words, before it begins. */
  drawPlan(lessons, saying) {
    const lines = lessons.map(({ name, plan, notes }) => {
      const said = [
        many(plan.vocabulary, "{characters} characters, {count} kind of them", "{characters} characters, {count} kinds of them", { characters: grouped(plan.characters) }),
        many(plan.parameters, "{family} of {count} number", "{family} of {count} numbers", { family: plan.family }),
        t("read {times} times in {time}", { times: decimal(plan.epochs, plan.epochs < 10 ? 1 : 0), time: clock(plan.seconds) }),
        many((plan.steps * plan.tokens_per_step) / plan.seconds, "{count} character a second", "{count} characters a second"), ...notes,
      ];
      return [el("b", {}, name), ": ", said.join(" · ")];
    });
    fill(this.plan, saying ? el("p", { class: "hint" }, `${saying} …`) : lines.map((line) => el("p", {}, ...line)));
  }
}
