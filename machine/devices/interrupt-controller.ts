/** What the CPU sees of the interrupt chips: one request, one acknowledge, and NMI. */
import type { LocalApic } from './local-apic.ts';
import type { Pic8259 } from './pic8259.ts';

export class InterruptController {
  readonly #pic: Pic8259;
  readonly #apic: LocalApic;

  constructor(pic: Pic8259, apic: LocalApic) {
    this.#pic = pic;
    this.#apic = apic;
  }

  /**
   * Whether a maskable interrupt waits. It can change by any port or APIC access, by an event, by
   * input from outside and by a write of CR8.
   */
  hasInterrupt(): boolean {
    return this.#apic.isExternalInterruptAsserted() || this.#apic.deliverableVector() !== undefined;
  }

  /**
   * The vector to deliver; the chips take the request as served. As on QEMU, the APIC's own
   * interrupts go before those of the 8259 pair. Without a request it is a spurious vector.
   */
  acknowledge(): number {
    const hasOwn = this.#apic.deliverableVector() !== undefined;
    if (!hasOwn && this.#apic.isExternalInterruptAsserted()) return this.#pic.acknowledge();
    return this.#apic.acknowledge();
  }

  hasNmi(): boolean {
    return this.#apic.hasNmi();
  }

  acknowledgeNmi(): void {
    this.#apic.acknowledgeNmi();
  }
}
