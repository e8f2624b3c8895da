// Takes Project Gutenberg's header and licence away: `data/formats/gutenberg.py`, where the rules are told.

const WINDOW = 1 << 16;

// Python's `^`, `\s` and `\b`: a line begins after LF alone, white space and words are Unicode's
const LINE = "(?<![^\\n])";
const S = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const NOT_S = S.replace("[", "[^");
const WORD_ENDS = "(?![\\p{L}\\p{N}_])";

const START = new RegExp(
  `${LINE}[ \\t]*\\*{3}[ \\t]*START OF TH(?:E|IS) PROJECT GUTENBERG` +
    "(?:[^*\\n]*(?:\\n[^*\\n]+)?\\*{3}[^\\n]*|[^\\n]*)(?:\\n|(?![^]))" +
    `|${LINE}\\*END[ *]*THE SMALL PRINT[^\\n]*(?:\\n|(?![^]))`,
  "giu",
);
const END = new RegExp(`${LINE}[ \\t]*\\*{3}[ \\t]*END OF TH(?:E|IS) PROJECT GUTENBERG`, "giu");
const SOFT_END = new RegExp(`${LINE}[ \\t]*(?:This is the )?End of (?:the |this )?Project Gutenberg(?:['’]s)?${WORD_ENDS}`, "giu");
const HEADER = new RegExp(
  "for the use of anyone anywhere" +
    `|${LINE}(?:title|author|release date|posting date|language|character set encoding)${S}*:|small print|\\[?e(?:book|text) #`,
  "iu",
);
const LICENCE = /project gutenberg|small print|licen[cs]e/iu;
const CREDITS = new RegExp(
  `${S}*(?:(?:Text file |HTML version )?(?:Produced|Prepared|Transcribed)|E-?(?:text|book) ` +
    `(?:was )?(?:produced|prepared|created)|This e(?:text|book) was (?:produced|prepared)) by${WORD_ENDS}` +
    `[^\\n]*\\n(?:[ \\t]*${NOT_S}[^\\n]*\\n)*`,
  "iuy",
);
const BEFORE = new RegExp(`^${S}+`, "u");
const AFTER = new RegExp(`${S}+$`, "u");

/** The text (LF line ends) without Gutenberg's header and licence, if it has any. */
export function withoutBoilerplate(text) {
  const [body, hadHeader] = withoutHeader(text);
  const [book, hadLicence] = withoutLicence(body, hadHeader);
  return hadHeader || hadLicence ? `${trimmedEnd(book)}\n` : book;
}

/** `AFTER` alone would look from every white space to the end of the text. */
function trimmedEnd(text) {
  const cut = Math.max(0, text.length - WINDOW);
  return text.slice(0, cut) + text.slice(cut).replace(AFTER, "");
}

function search(pattern, text, from) {
  pattern.lastIndex = from;
  return pattern.exec(text);
}

function withoutHeader(text) {
  const head = text.slice(0, WINDOW);
  let match = search(START, head, 0);
  if (!match || !isHeader(head.slice(0, match.index))) return [text, false];
  let start = match.index + match[0].length;
  // The oldest books have a second marker: the end of the small print
  while ((match = search(START, head, start)) && !endsBetween(head, start, match.index)) start = match.index + match[0].length;
  const credits = search(CREDITS, text, start);
  if (credits) start += credits[0].length;
  return [text.slice(start).replace(BEFORE, ""), true];
}

function endsBetween(text, from, to) {
  const end = search(END, text.slice(0, to), from);
  return end !== null;
}

function withoutLicence(text, hadHeader) {
  const from = Math.max(0, text.length - WINDOW);
  const end = search(END, text, from);
  if (end) {
    const after = text.slice(text.indexOf("\n", end.index + end[0].length) + 1 || text.length);
    if (LICENCE.test(after) || (hadHeader && !after.replace(BEFORE, ""))) {
      const soft = search(SOFT_END, text.slice(0, end.index), Math.max(from, end.index - 600));
      return [text.slice(0, (soft ?? end).index), true];
    }
  }
  const soft = search(SOFT_END, text, from);
  if (soft && hadHeader) {
    const after = text.slice(soft.index + soft[0].length);
    if ([...after].length < 400 || LICENCE.test(after)) return [text.slice(0, soft.index), true];
  }
  return [text, false];
}

function isHeader(text) {
  if (!text.replace(BEFORE, "")) return true;
  return text.toLowerCase().includes("gutenberg") && HEADER.test(text) && text.split("\n").length <= 1000;
}
