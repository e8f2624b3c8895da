// Keeps the end of what is being written in sight, until somebody scrolls away from it.

const MARGIN = 24;

export class Follow {
  /** element: what grows; above: what covers the lower edge of the window. */
  constructor(element, above) {
    Object.assign(this, { element, above });
    this.on = true;
    const away = () => (this.on = false);
    addEventListener("wheel", ({ deltaY }) => deltaY < 0 && away(), { passive: true });
    addEventListener("touchmove", away, { passive: true });
    addEventListener("keydown", ({ key }) => ["PageUp", "Home"].includes(key) && away());
    addEventListener("scroll", () => this.beyond() < MARGIN && (this.on = true), { passive: true });
  }

  begin() {
    this.on = true;
  }

  beyond() {
    const bar = this.above.getBoundingClientRect();
    const edge = getComputedStyle(this.above).position === "sticky" ? Math.min(innerHeight, bar.top) : innerHeight;
    return this.element.getBoundingClientRect().bottom - edge + MARGIN;
  }

  now() {
    const beyond = this.on ? this.beyond() : 0;
    if (beyond > 0) scrollBy({ top: beyond, behavior: "instant" });
  }
}
