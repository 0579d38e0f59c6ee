/**
 * All registers of the CPU at once, as bytes: the `g` block, and the block of the registers beyond it, in
 * the order of their numbers. For `g` and for the frames of tracepoints.
 */
import type { MachineView } from '../../machine/index.ts';
import type { RegisterSet } from './register-set.ts';
import {
  type RegisterContext,
  type RegisterDefinition,
  registerContext,
} from './register-table.ts';

const X87_STACK = 32;
const X87_STRIDE = 16;

type Store = (into: DataView, offset: number) => void;

/**
 * Stores blocks as the CPU is now; one object for many frames. Most registers are words of the
 * machine's own memory and are copied as such: through bigints a block took 6 µs, so it takes 0.5
 * (npm run bench, "tracepoint frames").
 */
export class RegisterBlocks {
  readonly #machine: MachineView;
  readonly #set: RegisterSet;
  readonly #general: RegisterCopy;
  readonly #extra: RegisterCopy;
  #guestPid = 0;

  constructor(machine: MachineView, set: RegisterSet) {
    this.#machine = machine;
    this.#set = set;
    this.#general = this.#copyOf(set.general);
    this.#extra = this.#copyOf(set.extra);
  }

  /** `generalBytes` of the set at `offset`. */
  storeGeneral(into: DataView, offset: number): void {
    this.#general.store(into, offset);
  }

  /** `extraBytes` of the set at `offset`. */
  storeExtra(into: DataView, offset: number, guestPid: number): void {
    this.#guestPid = guestPid;
    this.#extra.store(into, offset);
  }

  #copyOf(registers: readonly RegisterDefinition[]): RegisterCopy {
    const copy = new RegisterCopy();
    for (const register of registers) {
      const { offset, lengthBytes } = this.#set.placeOf(register.number)!;
      const bytes = this.#bytesOf(register);
      if (bytes !== undefined && bytes.length >= lengthBytes)
        copy.addBytes(bytes, offset, lengthBytes); // prettier-ignore
      else copy.add(this.#storeOf(register), offset);
    }
    return copy;
  }

  /** Where the machine keeps a register. st0–st7 lie 16 bytes apart in FXSAVE, 10 of them used. */
  #bytesOf({ id, savedAs }: RegisterDefinition): Uint8Array | undefined {
    const stack = /^st(\d)$/.exec(id)?.[1];
    if (stack === undefined) return this.#machine.registerBytes?.(savedAs ?? id);
    const at = X87_STACK + Number(stack) * X87_STRIDE;
    return this.#machine.registerBytes?.('x87')?.subarray(at, at + X87_STRIDE);
  }

  /** For what is put together. */
  #storeOf(register: RegisterDefinition): Store {
    const machine = this.#machine;
    if (register.id === 'guest_pid') {
      return (into, offset) => into.setUint32(offset, this.#guestPid, true);
    }
    if (register.id === 'ret_rsp' && register.bits === 64) return this.#storeOfReturnAddress();
    // The x87 registers look at these bytes only; without them the whole area is put together.
    const x87 = machine.registerBytes?.('x87');
    if (x87 === undefined) {
      return (into, offset) => register.store(registerContext(machine, 0), into, offset);
    }
    const context: RegisterContext = { machine, guestPid: 0, fxsave: () => x87 };
    return (into, offset) => register.store(context, into, offset);
  }

  /** The quadword at rsp, 0 where it cannot be read. */
  #storeOfReturnAddress(): Store {
    const machine = this.#machine;
    const rsp = machine.registerReader('rsp') ?? (() => 0n);
    return (into, offset) => into.setBigUint64(offset, machine.readInteger(rsp(), 8) ?? 0n, true);
  }
}

/** How a block is made: words to copy, and the rest in steps of their own. */
class RegisterCopy {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #steps: { readonly store: Store; readonly to: number }[] = [];
  #words: Uint32Array = new Uint32Array(0);

  add(store: Store, to: number): void {
    this.#steps.push({ store, to });
  }

  /**
   * `bytes` lies at a multiple of four in the one memory that all of them are in. The last of 10 bytes
   * is half a word: what is too much is written over, for registers are stored in their order, and
   * those with steps of their own after them.
   */
  addBytes(bytes: Uint8Array, to: number, lengthBytes: number): void {
    if (this.#words.buffer !== bytes.buffer) this.#words = new Uint32Array(bytes.buffer);
    for (let at = 0; at < lengthBytes; at += 4) {
      this.#from.push((bytes.byteOffset + at) / 4);
      this.#to.push(to + at);
    }
  }

  store(into: DataView, offset: number): void {
    const words = this.#words;
    const from = this.#from;
    const to = this.#to;
    for (let index = 0; index < from.length; index++) {
      into.setUint32(offset + to[index]!, words[from[index]!]!, true);
    }
    for (const step of this.#steps) step.store(into, offset + step.to);
  }
}
