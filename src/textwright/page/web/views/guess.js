// Guess: you against the model over a hidden passage, letter by letter, scored in bits.

import { el, fill, kept, number, percent, visible } from "../parts/dom.js";
import { field, notice } from "../parts/fields.js";
import { help } from "../parts/help.js";
import { segments } from "../parts/segments.js";
import { average, bitsOf, hidden, over, passages, total } from "../state/guessing.js";
import { shade } from "../state/tokens.js";
import { decimal, later, t } from "../words.js";

export class GuessView {
  static id = "guess";
  static title = later("Guess");
  static icon = "guess";

  constructor(page) {
    this.page = page;
    this.which = 0;
    this.notice = notice();
    this.text = el("div", { class: "tokens guessed", dir: "auto" });
    this.key = el("input", { type: "text", class: "key", autocomplete: "off", autocapitalize: "off", spellcheck: false, oninput: () => this.guess(this.key.value.at(-1)), onkeydown: (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      this.guess("\n");
    } });
    this.sure = segments(t("How sure are you?"), [["0.2", t("a hunch · 20 %")], ["0.5", t("likely · 50 %")], ["0.9", t("sure · 90 %")]], (share) => { this.share = Number(share); this.key.focus(); });
    this.share = 0.5;
    this.sure.pick("0.5");
    this.said = el("p", { class: "hint", role: "status" });
    this.score = el("dl", { class: "numbers" });
    this.name = el("input", { type: "text", autocomplete: "nickname", maxLength: 30, value: kept.get("nickname", "") });
    this.join = el("form", { class: "desk", hidden: true, onsubmit: (event) => { event.preventDefault(); this.enter(); } }, field(t("Your name"), this.name),
      el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, t("Into the table"))));
    this.table = el("div", { class: "ranking" });
    const step = (by, sign, label) => el("button", { type: "button", class: "quiet", "aria-label": label, onclick: () => this.turn(by) }, sign);
    this.title = el("h2", {});
    this.asking = el("div", { class: "asking" }, field(t("The next letter"), this.key), this.sure);
    this.element = el("section", { class: "view plain guess", "aria-label": t("Guess the next letter") },
      el("h1", {}, t("Guess the next letter")),
      el("p", { class: "about" }, t("You against the model: neither has seen this passage. Type the letter that comes next, and say how sure you are; the rest of your hundred per cent goes to all other letters alike. Whoever is less surprised wins."), " ", help("bits")),
      this.notice,
      el("div", { class: "lens" },
        el("article", { class: "sheet" }, el("div", { class: "sheethead guesshead" }, this.title, el("div", { class: "actions" }, step(-1, "‹", t("The passage before")), step(1, "›", t("The next passage")))), this.text, this.asking, this.said),
        el("aside", { class: "side" }, this.score, this.join, this.table)));
  }

  modelChanged(model) {
    if (this.model?.name === model?.name) return;
    this.model = model;
    if (this.here) this.begin();
  }

  entered() {
    this.here = true;
    if (this.model && this.model.name !== this.game?.model) this.begin();
  }

  left() {
    this.here = false;
  }

  turn(by) {
    this.which = (this.which + by + passages.length) % passages.length;
    this.begin();
  }

  /** Lets the model read the passage, and begins. */
  async begin() {
    const { model } = this;
    this.game = null;
    this.asking.hidden = true;
    if (!model) return;
    const letters = (one) => one.tokenizer === "char" && one.state === "ready" && !one.talks;
    const other = !letters(model) && !this.moved && this.page.models.find(letters);
    this.moved = true; // once: who then picks another means it
    if (other) return this.page.choose(other);
    if (model.tokenizer !== "char") return this.notice.tell(t("This is played letter by letter: choose a model that reads characters."));
    const text = passages[this.which];
    try {
      const read = await this.page.api.read({ model: model.name, text });
      if (this.model !== model || text !== passages[this.which]) return;
      this.notice.say("");
      this.game = { ...hidden(text, read.tokens), model: model.name, guesses: [] };
      this.asking.hidden = false;
      this.said.textContent = "";
      this.join.hidden = true;
      fill(this.table);
      this.show();
    } catch (error) {
      this.notice.say(error);
    }
  }

  guess(letter) {
    this.key.value = "";
    if (!this.game || !letter || over(this.game)) return;
    const { game, share } = this;
    const at = game.guesses.length;
    const right = game.letters[at];
    const hit = letter.toLowerCase() === right.text.toLowerCase() || (letter === " " && right.text === "\n");
    game.guesses.push({ hit, bits: bitsOf(share, hit) });
    const { bits } = game.guesses[at];
    this.said.textContent = (hit ? t("Yes, {letter}.", { letter: visible(right.text) }) : t("It was {letter}.", { letter: visible(right.text) }))
      + ` ${t("You: {yours} bits. The model gave it {share}: {its} bits.", { yours: decimal(bits, 1), share: percent(2 ** -right.bits), its: decimal(right.bits, 1) })}`;
    this.show();
    if (over(game)) this.finish();
  }

  show() {
    const { given, letters, guesses, rest } = this.game;
    this.title.textContent = t("Passage {at} of {of}", { at: this.which + 1, of: passages.length });
    fill(this.text, el("span", {}, given),
      ...letters.slice(0, guesses.length).map(({ text, bits }, index) => el("span", { class: `t s${shade(-bits * Math.LN2)}${guesses[index].hit ? " hit" : ""}` }, text)),
      over(this.game) ? el("span", { class: "rest" }, rest) : el("span", { class: "blank", "aria-label": t("the next letter") }, "?"));
    const mean = (values) => (values.length ? decimal(average(values), 2) : "–");
    fill(this.score, number(t("you, bits a letter"), mean(guesses)), number(t("{model}, bits a letter", { model: this.game.model }), mean(letters.slice(0, guesses.length))),
      number(t("letter"), t("{at} of {of}", { at: guesses.length, of: letters.length })), number(t("guessed right"), String(guesses.filter(({ hit }) => hit).length)));
  }

  finish() {
    const [yours, its] = [total(this.game.guesses), total(this.game.letters)];
    const told = { yours: decimal(yours, 0), its: decimal(its, 0), model: this.game.model };
    this.said.textContent = yours < its ? t("You win: {yours} bits against {its}. To you the passage was the lesser surprise.", told) : t("{model} wins: {its} bits against your {yours}. It never is quite sure, and that pays.", told);
    this.asking.hidden = true;
    this.join.hidden = !this.page.api.guessed;
    this.rank(null);
  }

  enter() {
    const name = this.name.value.trim();
    if (!name) return this.name.focus();
    kept.set("nickname", name);
    this.join.hidden = true;
    this.rank(name);
  }

  /** Shows who has played this passage here, with one's own result where there is a name to it. */
  async rank(name) {
    const { guesses, letters, model } = this.game;
    try {
      const { players } = this.page.api.guessed ? await this.page.api.guessed({ passage: this.which, ...(name ? { name, bits: average(guesses), right: guesses.filter(({ hit }) => hit).length } : {}) }) : { players: [] };
      const rows = [...players, { name: model, bits: average(letters), machine: true }].sort((a, b) => a.bits - b.bits);
      fill(this.table, el("table", {}, el("caption", {}, t("Who played this passage here")), el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("name")), el("th", { scope: "col" }, t("bits a letter")))),
        el("tbody", {}, rows.map((one) => el("tr", { class: one.machine ? "machine" : one.name === name ? "here" : "" }, el("td", { dir: "auto" }, one.name), el("td", {}, decimal(one.bits, 2)))))));
    } catch (error) {
      this.notice.say(error);
    }
  }
}
