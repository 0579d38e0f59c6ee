/** A virtual clock whose instructions are retired by the test. */
import { VirtualClock } from '../../../machine/clock/event-queue.ts';
import { TICKS_PER_INSTRUCTION } from '../../../machine/clock/virtual-clock.ts';

export class ManualClock extends VirtualClock {
  #counter: { icount: bigint };

  constructor() {
    const counter = { icount: 0n };
    super(() => counter.icount);
    this.#counter = counter;
  }

  get icount(): bigint {
    return this.#counter.icount;
  }

  set icount(value: bigint) {
    this.#counter.icount = value;
  }

  /** Runs as the machine does: up to each event, fires it, goes on. */
  run(ticks: bigint): void {
    const end = this.now() + ticks;
    for (let next = this.nextEventAt(); next !== undefined && next <= end;) {
      this.#counter.icount += this.instructionsUntil(next);
      this.fireDue();
      next = this.nextEventAt();
    }
    const rest = end - this.now();
    if (rest > 0n) this.#counter.icount += rest / TICKS_PER_INSTRUCTION;
  }
}
