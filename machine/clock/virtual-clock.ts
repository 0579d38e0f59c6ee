/**
 * Virtual time: it is counted, never read from the host. Ticks = retired instructions ×
 * TICKS_PER_INSTRUCTION + the ticks that HLT skipped. Every timer of the machine (TSC, PIT,
 * APIC timer, RTC) derives from it. Devices import this file and nothing else of the machine.
 */

/** One tick is one nanosecond of virtual time. */
export const TICKS_PER_SECOND = 1_000_000_000n;

/** The virtual CPU retires 100 M instructions a second. */
export const TICKS_PER_INSTRUCTION = 10n;

/** What a device may ask of time. */
export interface Clock {
  /** Virtual ticks since power-on, exact at the instruction that asks. */
  now(): bigint;
  /**
   * Arms (or re-arms) the event `name`: `action` is called at the first instruction boundary at
   * or after `at` ticks. One event per name. Events with equal time fire in the order of arming.
   */
  schedule(name: string, at: bigint, action: () => void): void;
  cancel(name: string): void;
}
