/**
 * What the machine is told of as. An x86-64 is the whole register table; an i386 is made of it
 * (i386-registers.ts). A debugger that has a 32-bit kernel's file takes nothing but an i386, whatever mode
 * the CPU is in.
 */
import { I386_REGISTERS } from './i386-registers.ts';
import { REGISTERS, type RegisterDefinition } from './register-table.ts';

export type Architecture = 'x86-64' | 'i386';

/** Where a register's bytes lie in its block. */
interface Place {
  /** In the block of what is beyond `g`. */
  readonly isExtra: boolean;
  readonly offset: number;
  readonly lengthBytes: number;
}

export class RegisterSet {
  readonly architecture: Architecture;
  readonly pointerBytes: 4 | 8;
  /** In the order of their numbers. */
  readonly registers: readonly RegisterDefinition[];
  /** Those of the `g` block, the first ones. */
  readonly general: readonly RegisterDefinition[];
  readonly generalBytes: number;
  /** Those beyond it. */
  readonly extra: readonly RegisterDefinition[];
  readonly extraBytes: number;
  readonly programCounter: number;
  readonly stackPointer: number;
  readonly framePointer: number;
  readonly #places: readonly Place[];

  constructor(
    architecture: Architecture,
    registers: readonly RegisterDefinition[],
    lastOfGeneral: string,
  ) {
    this.architecture = architecture;
    this.pointerBytes = architecture === 'i386' ? 4 : 8;
    this.registers = registers;
    const end = this.numberOf(lastOfGeneral) + 1;
    this.general = registers.slice(0, end);
    this.extra = registers.slice(end);
    this.generalBytes = lengthOf(this.general);
    this.extraBytes = lengthOf(this.extra);
    this.#places = [...placesOf(this.general, false), ...placesOf(this.extra, true)];
    this.programCounter = this.numberOf('rip');
    this.stackPointer = this.numberOf('rsp');
    this.framePointer = this.numberOf('rbp');
  }

  /** By its name in the table. Throws for one that is not served. */
  numberOf(id: string): number {
    const number = this.registers.findIndex((register) => register.id === id);
    if (number < 0) throw new Error(`there is no ${id} on ${this.architecture}`);
    return number;
  }

  /** Undefined: no such register. */
  placeOf(number: number): Place | undefined {
    return this.#places[number];
  }

  /** A linear address as wide as this architecture's: a debugger computes in 64 bits. */
  linear(address: bigint): bigint {
    return this.pointerBytes === 8 ? address : BigInt.asUintN(32, address);
  }
}

function placesOf(registers: readonly RegisterDefinition[], isExtra: boolean): Place[] {
  let offset = 0;
  return registers.map(({ bits }) => {
    const lengthBytes = bits / 8;
    offset += lengthBytes;
    return { isExtra, offset: offset - lengthBytes, lengthBytes };
  });
}

function lengthOf(registers: readonly RegisterDefinition[]): number {
  return registers.reduce((sum, { bits }) => sum + bits / 8, 0);
}

export const REGISTER_SETS: Readonly<Record<Architecture, RegisterSet>> = {
  'x86-64': new RegisterSet('x86-64', REGISTERS, 'gs_base'),
  i386: new RegisterSet('i386', I386_REGISTERS, 'orig_rax'),
};
export const ARCHITECTURES = Object.keys(REGISTER_SETS) as Architecture[];
