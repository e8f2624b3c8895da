// What a server says, or a training, where the page has words of its own for it.

import { later, t } from "../words.js";

const REASONS = [
  [/validation conversations have no words|set model\.block_size|too few to validate/, later("This text is too short to learn from. A few thousand characters is the least; half a million is good.")],
  [/--eval-every/, later("It ended too soon to say much: give it more text, or more minutes.")],
  [/was trained on is not here/, later("The text that this model learned from is not on this server: nothing can be compared with it.")],
  [/server is busy|too many requests/i, later("The server is busy now. Try again in a moment.")],
  [/the most that one may take/, later("That took longer than this server lets one request take.")],
  [/--allow-export/, later("A model and its training text stay on this server: its owner can allow to take them.")],
  [/another training has taken its place|that training is over/, later("Another training has taken its place.")],
  [/started in another browser/, later("This training was started in another browser: it is stopped there.")],
];

/** The page's own words for a reason, or the reason. */
export function plain(reason) {
  const known = REASONS.find(([pattern]) => pattern.test(reason));
  return known ? t(known[1]) : reason;
}
