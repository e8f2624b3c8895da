// The game of the next letter: passages, and what a guess costs.

const GIVEN = 24; // characters that are shown at first, at least
const LETTERS = 24; // that are guessed
const OTHERS = 30; // characters that share what a guess leaves

/** Of books that no model here learned from, and two sentences of nobody's. */
export const passages = [
  "When I do count the clock that tells the time, and see the brave day sunk in hideous night.",
  "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
  "The tram was late again, and the rain had found a way into both of my shoes.",
  "That time of year thou mayst in me behold when yellow leaves, or none, or few, do hang.",
  "I am the native of a sea-surrounded nook, a cloud-enshadowed land.",
  "Emma Woodhouse, handsome, clever, and rich, with a comfortable home and happy disposition.",
  "Like as the waves make towards the pebbled shore, so do our minutes hasten to their end.",
  "I went to the woods because I wished to live deliberately, to front only the essential facts of life.",
  "Nobody in the class had noticed that the clock on the wall was running backwards.",
  "Full many a glorious morning have I seen flatter the mountain tops with sovereign eye.",
];

/** {given, letters, rest} of a passage: letters: {text, bits} as the model that read it has them. */
export function hidden(text, tokens) {
  const from = text.indexOf(" ", GIVEN) + 1;
  const letters = tokens.filter(({ start }) => start >= from && start < from + LETTERS).map(({ start, end, logprob }) => ({ text: text.slice(start, end), bits: -logprob / Math.LN2 }));
  return { given: text.slice(0, from), letters, rest: text.slice(from + LETTERS) };
}

/** The bits of guesses or letters, and of each on average; null of none. */
export const total = (values) => values.reduce((sum, { bits }) => sum + bits, 0);
export const average = (values) => (values.length ? total(values) / values.length : null);

export const over = ({ guesses, letters }) => guesses.length >= letters.length;

/** What a guess of a letter with a probability costs: the surprise at what came. */
export function bitsOf(share, hit) {
  return -Math.log2(hit ? share : (1 - share) / OTHERS);
}
