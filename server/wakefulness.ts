/**
 * Keeps the event loop from going to sleep while a client is talking. A client sends its next packet
 * some ten microseconds after a reply; putting the process to sleep and waking it again costs more
 * than that. For a moment after each packet the loop polls instead (npm run bench, "round trip").
 */
const AWAKE_MS = 1;

export class Wakefulness {
  #until = 0;
  #isAwake = false;

  /** A packet has come or a stop reply has gone: the client is likely to speak again soon. */
  stayAwake(): void {
    this.#until = performance.now() + AWAKE_MS;
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#poll();
  }

  #poll(): void {
    setImmediate(() => {
      if (performance.now() < this.#until) this.#poll();
      else this.#isAwake = false;
    });
  }
}
