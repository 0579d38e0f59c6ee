/**
 * One case in the making: the choices that are taken so far. case-maker.ts takes them by the
 * encoding, special-cases.ts adds what an instruction needs to do something worth seeing.
 */
import { GENERAL_REGISTER_NAMES } from '../../../../machine/state/fields.ts';
import type { Form } from '../forms.ts';
import { initialState, type Mode } from '../initial-state.ts';
import type { Random } from '../random.ts';
import type { MemoryBytes, Setup } from '../vector-file.ts';
import { START } from '../world.ts';
import { assemble, emptyParts, littleEndian, type CodeParts } from './code-assembly.ts';

export class CaseBuilder {
  readonly form: Form;
  readonly random: Random;
  readonly parts: CodeParts = emptyParts();
  readonly seed: number;
  mode: Mode = 'u64';
  /** Operand size in force. */
  width: 16 | 32 | 64 = 32;
  addressWidth: 16 | 32 | 64 = 64;
  /** Where the ModRM memory operand lies and how much of it is read, if there is one. */
  memory: { address: bigint; bytes: number } | undefined;
  /** Register number of the ModRM register operand, if rm is one. */
  rmRegister: number | undefined;
  /** Register number in ModRM.reg or the opcode. */
  register: number | undefined;
  /** What special cases ask of the generic choices. */
  wants: {
    memory?: { address: bigint; bytes?: number };
    widths?: readonly (16 | 32 | 64)[];
    immediates?: (bigint | undefined)[];
    register?: number;
    repetitions?: number;
  } = {};
  private readonly fields = new Map<string, bigint>();
  private readonly patches = new Map<number, Uint8Array>();
  private readonly reserved = new Set<string>();

  constructor(form: Form, random: Random) {
    this.form = form;
    this.random = random;
    this.seed = random.below(0x10000);
  }

  get is64(): boolean {
    return this.mode.endsWith('64');
  }

  /** The value that a field will have when the case begins. */
  field(name: string): bigint {
    const value = initialState(this.mode, this.seed, this.fields).get(name);
    if (value === undefined) throw new Error(`no field ${name}`);
    return value;
  }

  /** Gives a field a value and keeps addressing from using the register for its own ends. */
  set(name: string, value: bigint): void {
    this.reserved.add(name);
    this.fields.set(name, BigInt.asUintN(this.is64 ? 64 : 32, value));
  }

  reserve(...names: string[]): void {
    for (const name of names) this.reserved.add(name);
  }

  isNearStackPointer(address: bigint): boolean {
    const distance = address - this.field('rsp');
    return distance > -0x200n && distance < 0x200n;
  }

  isFree(register: number): boolean {
    return !this.reserved.has(GENERAL_REGISTER_NAMES[register] ?? '');
  }

  patch(address: number, bytes: Uint8Array): void {
    this.patches.set(address, bytes);
  }

  patchInteger(address: number | bigint, value: bigint, bytes: number): void {
    this.patch(Number(address), Uint8Array.from(littleEndian(value, bytes)));
  }

  setup(): Setup {
    const memory: MemoryBytes[] = [...this.patches].map(([address, bytes]) => ({ address, bytes }));
    const code = assemble(this.parts, START);
    return { mode: this.mode, seed: this.seed, code, before: { fields: this.fields, memory } };
  }
}
