// The workers of one training, who tell each other what they have in turns: each sends every other one
// message, and waits for one of each.

export class Team {
  /** ports: MessagePorts to the others, in the order of the workers; null in one's own place. */
  constructor(ports, index) {
    this.ports = ports;
    this.index = index;
    this.arrived = ports.map(() => []);
    this.waiting = ports.map(() => null);
    ports.forEach((port, from) => {
      if (port) port.onmessage = ({ data }) => this.take(from, data);
    });
  }

  take(from, message) {
    const waiting = this.waiting[from];
    this.waiting[from] = null;
    if (waiting) waiting(message);
    else this.arrived[from].push(message);
  }

  next(from) {
    if (this.arrived[from].length) return this.arrived[from].shift();
    return new Promise((resolve) => {
      this.waiting[from] = resolve;
    });
  }

  /**
   * What each worker had for this one, in the order of the workers, one's own among it. `message(to)`
   * makes what another gets; buffers of its arrays are handed over.
   */
  async exchange(message) {
    this.ports.forEach((port, to) => {
      if (!port) return;
      const made = message(to);
      port.postMessage(made, Object.values(made).flatMap((part) => (part instanceof Array ? part : [part])).filter(ArrayBuffer.isView).map(({ buffer }) => buffer));
    });
    const own = message(this.index);
    return Promise.all(this.ports.map((port, from) => (port ? this.next(from) : own)));
  }

  close() {
    for (const port of this.ports) port?.close();
  }
}
