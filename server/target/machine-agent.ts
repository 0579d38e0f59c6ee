/**
 * Agent expressions over the machine: its registers by gdb's numbers, the memory that the CPU sees,
 * and the text that breakpoint commands print, kept until the slice is over.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type { AgentEnvironment, IntegerBytes } from '../agent/environment.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import { REGISTER_SETS, type RegisterSet } from './register-set.ts';
import {
  type RegisterContext,
  fromLittleEndian,
  registerBytes,
  registerContext,
} from './register-table.ts';

/** What commands print within a slice: more would only flood the client. */
const MOST_OUTPUT = 64 * 1024;

/** Operations after which a slice ends, so that the debugger is heard: about a millisecond. */
export const MOST_SLICE_STEPS = 50_000;
/** What is asked at one instruction cannot be cut: so much of it, some 20 ms, is too much. */
const MOST_INSTRUCTION_STEPS = 20 * MOST_SLICE_STEPS;

export class MachineAgent implements AgentEnvironment {
  readonly variables = new Map<number, bigint>();
  readonly #machine: MachineView & Pick<MachineControl, 'endSlice'>;
  readonly #guest: GuestView;
  readonly #set: RegisterSet;
  #output = '';
  #isCut = false;
  #spent = 0;
  #isSliceOver = false;
  /** Since the last slice ended. */
  #spentInSlice = 0;

  constructor(
    machine: MachineView & Pick<MachineControl, 'endSlice'>,
    guest: GuestView,
    set: RegisterSet = REGISTER_SETS['x86-64'],
  ) {
    this.#machine = machine;
    this.#set = set;
    this.#guest = guest;
  }

  register(number: number): (() => bigint) | undefined {
    const register = this.#set.registers[number];
    if (register === undefined || register.bits > 64) return undefined;
    const { savedAs } = register;
    const direct = savedAs === undefined ? undefined : this.#machine.registerReader(savedAs);
    if (direct !== undefined) {
      return register.bits === 64 ? direct : () => BigInt.asUintN(32, direct());
    }
    if (register.compute !== undefined) return this.#computed(register.compute);
    return () =>
      fromLittleEndian(registerBytes(register, registerContext(this.#machine, this.guestPid())));
  }

  /** Without bytes on the way, and without a look at the guest's threads unless it is asked for one. */
  #computed(compute: (context: RegisterContext) => bigint): () => bigint {
    const guestPid = (): number => this.guestPid();
    const machine = this.#machine;
    const context: RegisterContext = {
      machine,
      get guestPid() {
        return guestPid();
      },
      fxsave: () => machine.readFxsave(),
    };
    return () => compute(context);
  }

  integer(address: bigint, lengthBytes: IntegerBytes): bigint | undefined {
    return this.#machine.readInteger(this.#set.linear(address), lengthBytes);
  }

  bytes(address: bigint, lengthBytes: number): Uint8Array {
    return this.#machine.readLinear(this.#set.linear(address), lengthBytes);
  }

  print(text: string): void {
    if (this.#output.length + text.length <= MOST_OUTPUT) this.#output += text;
    else this.#isCut = true;
  }

  spend(steps: number): void {
    this.#spent += steps;
    this.#spentInSlice += steps;
    if (this.#spent < MOST_SLICE_STEPS) return;
    this.#spent = 0;
    this.#isSliceOver = true;
    this.#machine.endSlice?.();
  }

  sliceIsOver(): void {
    this.#spentInSlice = 0;
  }

  /** More has been done at this instruction than anybody can wait for: the slice was to end before it. */
  get isExhausted(): boolean {
    return this.#spentInSlice > MOST_INSTRUCTION_STEPS;
  }

  /** Whether so much has been done since the last call that a slice should end. */
  takeSliceEnd(): boolean {
    const isOver = this.#isSliceOver;
    this.#isSliceOver = false;
    return isOver;
  }

  /** What has been printed since the last call. */
  takeOutput(): string {
    if (this.#output === '' && !this.#isCut) return '';
    const text = this.#isCut
      ? `${this.#output}[output was lost: too much at once]\n`
      : this.#output;
    this.#output = '';
    this.#isCut = false;
    return text;
  }

  /** The guest's process on the CPU, 0 for none: it may have switched since it was last looked at. */
  guestPid(): number {
    this.#guest.forget();
    return this.#guest.currentThread()?.pid ?? 0;
  }
}
