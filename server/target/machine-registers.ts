/**
 * Registers of the machine's threads: of the one on the CPU from the CPU, of any other from what
 * its last switch saved. What was not saved is unavailable, not invented.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type { GuestThread } from '../awareness/awareness.ts';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { MachineThreads } from './machine-threads.ts';
import { RegisterBlocks } from './register-blocks.ts';
import type { RegisterSet } from './register-set.ts';
import {
  type RegisterDefinition,
  littleEndian,
  quadwordAt,
  registerBytes,
  registerContext,
} from './register-table.ts';
import type { RegisterValue, TargetRegisters, ThreadNumber } from './target.ts';

export class MachineRegisters implements TargetRegisters {
  readonly programCounter: number;
  readonly stackPointer: number;
  readonly framePointer: number;
  /** On x86-64 rax to r15 and eflags. */
  readonly general: readonly number[];
  readonly #set: RegisterSet;
  readonly #expedited: readonly number[];
  readonly #machine: MachineView & MachineControl;
  readonly #threads: MachineThreads;
  readonly #blocks: RegisterBlocks;
  /** Where the machine keeps them; none if it does not say. */
  readonly #expeditedPlaces: readonly RegisterValue[];
  readonly #onWrite: () => void;

  constructor(
    machine: MachineView & MachineControl,
    threads: MachineThreads,
    set: RegisterSet,
    onWrite: () => void,
  ) {
    this.programCounter = set.programCounter;
    this.stackPointer = set.stackPointer;
    this.framePointer = set.framePointer;
    this.#expedited = [set.programCounter, set.stackPointer, set.framePointer];
    this.general = set.registers
      .slice(0, set.numberOf('eflags') + 1)
      .map(({ number }) => number)
      .filter((number) => !this.#expedited.includes(number));
    this.#set = set;
    this.#machine = machine;
    this.#threads = threads;
    this.#blocks = new RegisterBlocks(machine, set);
    this.#expeditedPlaces = this.#expedited.flatMap((number) => {
      const bytes = machine.registerBytes?.(set.registers[number]!.id);
      return bytes === undefined ? [] : [{ number, bytes: bytes.subarray(0, set.pointerBytes) }];
    });
    this.#onWrite = onWrite;
  }

  readAll(thread: ThreadNumber): { bytes: Uint8Array; known?: boolean[] } {
    const place = this.#threads.place(thread);
    return place.kind === 'on cpu'
      ? { bytes: this.#blockOfCpu() }
      : this.#blockOfSaved(place.thread);
  }

  #blockOfCpu(): Uint8Array {
    const bytes = new Uint8Array(this.#set.generalBytes);
    this.#blocks.storeGeneral(new DataView(bytes.buffer), 0);
    return bytes;
  }

  #blockOfSaved(thread: GuestThread): { bytes: Uint8Array; known: boolean[] } {
    const bytes = new Uint8Array(this.#set.generalBytes);
    const known = new Array<boolean>(this.#set.generalBytes).fill(true);
    let offset = 0;
    for (const register of this.#set.general) {
      const value = this.#savedValue(thread, register);
      const end = offset + register.bits / 8;
      if (value === undefined) known.fill(false, offset, end);
      else bytes.set(littleEndian(value, register.bits), offset);
      offset = end;
    }
    return { bytes, known };
  }

  /** Registers that already have their value are left alone: gdb sends the block as it got it. */
  writeAll(thread: ThreadNumber, bytes: Uint8Array): void {
    this.#mustBeOnCpu(thread);
    let offset = 0;
    for (const register of this.#set.general) {
      const wanted = bytes.subarray(offset, (offset += register.bits / 8));
      if (!this.#has(thread, register, wanted) && !this.write(thread, register.number, wanted)) {
        throw new RemoteError(ERRNO.EPERM, `${register.name} cannot be written`);
      }
    }
  }

  read(thread: ThreadNumber, number: number): Uint8Array | 'unavailable' | undefined {
    const register = this.#set.registers[number];
    return register === undefined ? undefined : this.#readRegister(thread, register);
  }

  write(thread: ThreadNumber, number: number, bytes: Uint8Array): boolean {
    const register = this.#set.registers[number];
    if (register === undefined || bytes.length !== register.bits / 8) return false;
    this.#mustBeOnCpu(thread);
    if (register.write?.(this.#machine, bytes) !== true) return this.#has(thread, register, bytes);
    this.#onWrite();
    return true;
  }

  /** A register that cannot be written may be given the value that it has. */
  #has(thread: ThreadNumber, register: RegisterDefinition, bytes: Uint8Array): boolean {
    const present = this.#readRegister(thread, register);
    return present !== 'unavailable' && Buffer.compare(present, bytes) === 0;
  }

  expedited(thread: ThreadNumber): readonly RegisterValue[] {
    const isKept = this.#expeditedPlaces.length > 0;
    if (isKept && this.#threads.place(thread).kind === 'on cpu') return this.#expeditedOfCpu();
    const values: RegisterValue[] = [];
    for (const number of this.#expedited) {
      const bytes = this.read(thread, number);
      if (bytes instanceof Uint8Array) values.push({ number, bytes });
    }
    return values;
  }

  /** Every stop tells them: copied from where the machine keeps them. */
  #expeditedOfCpu(): readonly RegisterValue[] {
    const values: RegisterValue[] = [];
    for (const { number, bytes } of this.#expeditedPlaces) {
      values.push({ number, bytes: bytes.slice() });
    }
    return values;
  }

  #mustBeOnCpu(thread: ThreadNumber): void {
    if (this.#threads.place(thread).kind === 'on cpu') return;
    throw new RemoteError(ERRNO.EPERM, 'the registers of a thread off the CPU are read-only');
  }

  #readRegister(thread: ThreadNumber, register: RegisterDefinition): Uint8Array | 'unavailable' {
    const place = this.#threads.place(thread);
    if (place.kind === 'on cpu') {
      return registerBytes(register, registerContext(this.#machine, place.guestPid));
    }
    const value = this.#savedValue(place.thread, register);
    return value === undefined ? 'unavailable' : littleEndian(value, register.bits);
  }

  #savedValue(thread: GuestThread, register: RegisterDefinition): bigint | undefined {
    const saved = thread.registers;
    switch (register.id) {
      case 'orig_rax':
        return -1n;
      case 'cr3':
        return thread.cr3;
      case 'ret_rsp':
        return quadwordAt(this.#machine, saved.get('rsp') ?? 0n, thread.cr3);
      case 'icount':
        return this.#machine.icount;
      case 'guest_pid':
        return BigInt(thread.pid);
      case 'cpl':
        return (saved.get('cs') ?? 0n) & 3n;
      default:
        return register.savedAs === undefined ? undefined : saved.get(register.savedAs);
    }
  }
}
