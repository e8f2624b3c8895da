// A text that is always at hand: sums in words. A model learns to spell them in seconds, and to add hardly ever.

const ONES = ["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const LINES = 4000;

function spelled(number) {
  if (number >= 100) return `${ONES[1]} hundred${number > 100 ? ` and ${spelled(number - 100)}` : ""}`;
  if (number < 20) return ONES[number];
  return TENS[Math.floor(number / 10)] + (number % 10 ? `-${ONES[number % 10]}` : "");
}

/** The text, the same each time. */
export function sums() {
  let drawn = 1;
  const draw = () => {
    drawn = (drawn * 48271) % 2147483647; // Park and Miller, 1988
    return drawn % 100;
  };
  return Array.from({ length: LINES }, () => {
    const [one, other] = [draw(), draw()];
    return `${spelled(one)} and ${spelled(other)} make ${spelled(one + other)}.\n`;
  }).join("");
}
