// The nearest known form of a character: “ as ", é as e, K as k. The steps of
// `tokenizers/folding.py`; its tables come with the model.

const STEPS = 64;

/**
 * What to read `character` as, or null.
 *
 * tables: {forms, letters, opens}. known: whether a character is. opening: whether it stands where
 * a quotation opens.
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

/** Decimal digits stand in Unicode in runs of ten, from 0 to 9. */
function digit(character) {
  let run = 0;
  const code = character.codePointAt(0);
  while (/\p{Nd}/u.test(String.fromCodePoint(code - run - 1))) run++;
  return run % 10;
}

/** `text` without accents and the like: compatibility decomposition without the marks. */
export function plain(text, tables) {
  const lettered = [...text].map((part) => (Object.hasOwn(tables.letters, part) ? tables.letters[part] : part));
  const decomposed = lettered.join("").normalize("NFKD");
  const bare = [...decomposed].filter((part) => !combining(part)).join("");
  return bare.trim() || !text.trim() ? bare : text;
}

/** Whether a character has a combining class, which shows in how marks are put in order. */
function combining(mark) {
  return [["a", mark, "\u0334"], ["a", "\u0345", mark]].some((parts) => {
    const [, first] = parts.join("").normalize("NFD");
    return first !== [...parts[1].normalize("NFD")][0];
  });
}
