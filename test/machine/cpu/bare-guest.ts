/**
 * A few bytes of kernel code in long mode, memory mapped one to one, on both engines at once. Every
 * exception's handler is a HLT with interrupts off unless a test puts code there: so a run ends where
 * the first exception goes.
 */
import { LIDT, putGates } from '../block-engine/interrupt-gates.ts';
import { Lockstep, benchMachine } from '../block-engine/lockstep.ts';
import type { Machine } from '../../../machine/index.ts';

export const CODE = 0x40_0000;
/** Up to here from rsp downwards is the stack. */
export const STACK_TOP = 0xb0_0000;
/** The start of a large page that is nobody else's. */
export const DATA = 0x80_0000;
const HANDLERS = 0x50_0000;
const HANDLER_BYTES = 64;
const EXCEPTIONS = 32;
const HLT = 0xf4;

export const USER = 4n;

export interface BareGuest {
  /** What follows the LIDT with which the guest begins. */
  readonly code: readonly number[];
  /** Code of handlers, by vector. */
  readonly handlers?: Readonly<Record<number, readonly number[]>>;
  readonly prepare?: (machine: Machine) => void;
}

/** Where the guest's own code begins. */
export const START = CODE + LIDT.length;

export function bareGuest({ code, handlers = {}, prepare }: BareGuest): Lockstep {
  const lockstep = new Lockstep((engine) => benchMachine('spin', { engine }));
  lockstep.both((machine) => {
    machine.run({ budget: 10_000 });
    machine.writePhysical(BigInt(CODE), Uint8Array.from([...LIDT, ...code, HLT]));
    for (let vector = 0; vector < EXCEPTIONS; vector++) {
      const handler = HANDLERS + vector * HANDLER_BYTES;
      machine.writePhysical(BigInt(handler), Uint8Array.from(handlers[vector] ?? [HLT]));
      putGates(machine, [vector], handler);
    }
    machine.writeRegister('rip', BigInt(CODE));
    machine.writeRegister('rsp', BigInt(STACK_TOP));
    machine.writeRegister('rflags', 2n);
    prepare?.(machine);
  });
  return lockstep;
}

/** Runs to the HLT at the end of the code or in a handler. */
export function runToHalt(guest: Lockstep, slice = 997): void {
  for (let slices = 0; slices < 1000; slices++) {
    const { kind } = guest.run({ budget: slice });
    if (kind === 'idle') return;
    if (kind !== 'budget') throw new Error(`the guest has come to a ${kind}`);
  }
  throw new Error('the guest does not come to its HLT');
}

/** The vector in whose handler the guest has halted, and its frame; undefined if it has ended well. */
export function haltedIn(machine: Machine, hasErrorCode = false): Arrival | undefined {
  const at = Number(machine.readRegister('rip')) - HANDLERS;
  if (at < 0 || at >= EXCEPTIONS * HANDLER_BYTES) return undefined;
  const rsp = machine.readRegister('rsp')!;
  const words = new BigUint64Array(machine.readPhysical(rsp, 48).slice().buffer);
  const [rip, cs, rflags] = words.subarray(hasErrorCode ? 1 : 0);
  const errorCode = hasErrorCode ? { errorCode: Number(words[0]) } : {};
  const vector = Math.floor(at / HANDLER_BYTES);
  return { vector, ...errorCode, rip: Number(rip), cs: Number(cs), rflags: rflags! };
}

export interface Arrival {
  readonly vector: number;
  readonly errorCode?: number;
  readonly rip: number;
  readonly cs: number;
  readonly rflags: bigint;
}

/** Sets bits in the page directory entry, and all above it, of an address below 1 GiB. */
export function openPage(machine: Machine, linear: number, bits: bigint): void {
  entryAt(machine, directoryEntry(machine, linear, bits), bits);
}

/** Where the entry is; `bits` are set in those above it. */
function directoryEntry(machine: Machine, linear: number, bits: bigint): bigint {
  const root = machine.readRegister('cr3')! & ~0xfffn;
  const upper = entryAt(machine, root, bits) & 0xff_ffff_f000n;
  const directory = entryAt(machine, upper, bits) & 0xff_ffff_f000n;
  return directory + 8n * BigInt(linear >>> 21);
}

function entryAt(machine: Machine, place: bigint, bits: bigint): bigint {
  const entry = new DataView(machine.readPhysical(place, 8).slice().buffer).getBigUint64(0, true);
  const next = new BigUint64Array([entry | bits]);
  machine.writePhysical(place, new Uint8Array(next.buffer));
  return entry;
}

/** Puts the 2 MiB of `physical` at an address below 1 GiB that the guest has not used yet. */
export function mapLargePage(machine: Machine, linear: number, physical: bigint): void {
  const place = directoryEntry(machine, linear, 0n);
  machine.writePhysical(place, new Uint8Array(new BigUint64Array([physical | 0x83n]).buffer));
}
