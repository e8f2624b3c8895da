// Keeps the end of what is being written in sight, until somebody scrolls away from it
// or points into it.

const MARGIN = 24;

export class Follow {
  /** element: what grows; above: what covers the lower edge of the window. */
  constructor(element, above) {
    Object.assign(this, { element, above });
    this.on = true;
    this.last = scrollY;
    const away = () => (this.on = false);
    addEventListener("wheel", ({ deltaY }) => deltaY < 0 && away(), { passive: true });
    element.addEventListener("pointerdown", away);
    addEventListener("touchmove", away, { passive: true });
    addEventListener("keydown", ({ key }) => ["PageUp", "Home"].includes(key) && away());
    addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  /** Whoever goes down to the end again wants to see it; its own scrolling is told late and says nothing. */
  scrolled() {
    const down = scrollY > this.last;
    this.last = scrollY;
    if (down && this.beyond() < MARGIN) this.on = true;
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
    if (beyond <= 0) return;
    scrollBy({ top: beyond, behavior: "instant" });
    this.last = scrollY;
  }
}
