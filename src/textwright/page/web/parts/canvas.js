// Draws arrays as pictures: a pixel per value, scaled up by the browser.

/** The theme's colours as [red, green, blue]. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => {
    const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  return Object.fromEntries(["high", "low", "panel", "ink", "focus"].map((name) => [name, read(name)]));
}

/** Fills a canvas of width × height values; colour(x, y) returns [red, green, blue]. */
export function draw(canvas, width, height, colour) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      image.data.set(colour(x, y), at);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

export const mix = (from, to, share) => from.map((part, i) => Math.round(part + (to[i] - part) * Math.min(1, share)));
