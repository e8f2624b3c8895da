// The nearest known form of a character: “ → ", é → e, K → k. The algorithm of
// `tokenizers/folding.py`, whose tables are part of the model's data.

const STEPS = 64;

/**
 * The known text to read `character` as, or null.
 *
 * tables: {forms, letters, opens}. known(character): whether it is in the vocabulary. opening:
 * whether a quotation may open there.
 */
export function nearestForm(character, tables, known, opening) {
  const waiting = [character];
  const tried = new Set(waiting);
  for (let next = 0; next < waiting.length; next++) {
    const form = [...waiting[next]];
    if (waiting[next] !== character && form.every(known)) return waiting[next];
    const place = form.findIndex((part) => !known(part));
    for (const step of steps(form[place], tables, opening)) {
      const fresh = [...form.slice(0, place), step, ...form.slice(place + 1)].join("");
      if (!tried.has(fresh) && tried.size < STEPS) {
        tried.add(fresh);
        waiting.push(fresh);
      }
    }
  }
  return null;
}

function* steps(character, tables, opening) {
  if (Object.hasOwn(tables.opens, character)) yield tables.opens[character][opening ? 0 : 1];
  if (Object.hasOwn(tables.forms, character)) yield* tables.forms[character];
  if (/\p{Zs}/u.test(character)) yield " ";
  if (/\p{Nd}/u.test(character)) yield String(digit(character));
  yield plain(character, tables);
  yield character.toLowerCase();
  yield character.toUpperCase();
}

/** The value of a decimal digit: Unicode has them in runs of ten, from 0 to 9. */
function digit(character) {
  let run = 0;
  const code = character.codePointAt(0);
  while (/\p{Nd}/u.test(String.fromCodePoint(code - run - 1))) run++;
  return run % 10;
}

/** `text` without accents: compatibility decomposition (NFKD) without combining marks. */
export function plain(text, tables) {
  const lettered = [...text].map((part) => (Object.hasOwn(tables.letters, part) ? tables.letters[part] : part));
  const decomposed = lettered.join("").normalize("NFKD");
  const bare = [...decomposed].filter((part) => !combining(part)).join("");
  return bare.trim() || !text.trim() ? bare : text;
}

/** Whether a character has a combining class, seen by how normalization reorders marks. */
function combining(mark) {
  return [["a", mark, "\u0334"], ["a", "\u0345", mark]].some((parts) => {
    const [, first] = parts.join("").normalize("NFD");
    return first !== [...parts[1].normalize("NFD")][0];
  });
}
