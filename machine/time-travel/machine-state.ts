/**
 * The whole of a machine between two instructions, as plain values: what a snapshot is. Whatever changes
 * what the guest sees from here on is in it: RAM, CPU, devices with what waits in them, time with its
 * events and their order, and the TLB.
 *
 * The TLB because correct guests can tell: a kernel may clear an accessed bit and leave the TLB as it
 * is (Intel SDM 3A §4.10.2.3; Linux does), and then the bit comes back with the next walk and no
 * sooner. Emptying the TLB at a save would change the run that is saved, and at a load the one that
 * goes on. For the same reason it holds where instructions are fetched from, and which pages have been
 * code, as stores to those walk each time.
 *
 * Not the guest's, and not here: breakpoints, watches and catches of a debugger, compiled code, notes.
 */
import type { SavedClock } from '../clock/event-queue.ts';
import type { DeviceState } from '../devices/device-state.ts';
import type { SavedTranslations } from '../memory/saved-translations.ts';
import type { PageRun } from './saved-pages.ts';

/** By field name of state/fields.ts; 16-byte registers and the x87 area in hexadecimal. */
export type SavedCpu = Readonly<Record<string, bigint | number | string>>;

export interface SavedDevice {
  readonly name: string;
  readonly version: number;
  readonly state: DeviceState;
}

/** All but the bytes. */
export interface CoreState {
  /** Of RAM; a machine takes back only a state of its own size. */
  readonly memoryBytes: number;
  readonly cpu: SavedCpu;
  readonly isHalted: boolean;
  readonly clock: SavedClock;
  readonly devices: readonly SavedDevice[];
  readonly translations: SavedTranslations;
}

/** Where execution hooks ran last: they run once for each time that control comes there. */
export interface HookRun {
  readonly linear: bigint;
  readonly icount: bigint;
}

export interface MachineState {
  readonly core: CoreState;
  /** What COM1 has sent since power-on, at most the last MiB. */
  readonly serial: Uint8Array;
  /** The pages of RAM that are not all zero. */
  readonly pages: Iterable<PageRun>;
  /** For the same machine, whose hooks are the same; a file has none. */
  readonly lastHooks?: HookRun;
}
