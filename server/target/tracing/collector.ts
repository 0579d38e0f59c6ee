/**
 * Writes frames: the actions of a tracepoint, compiled once to closures that put registers, memory
 * and variables into the buffer. It runs inside the machine's slice, at the place or after a step.
 */
import type { MachineView } from '../../../machine/index.ts';
import { AgentError } from '../../agent/agent-error.ts';
import type { AgentEnvironment, AgentTrace } from '../../agent/environment.ts';
import { AgentProgram } from '../../agent/program.ts';
import { RegisterBlocks } from '../register-blocks.ts';
import type { RegisterSet } from '../register-set.ts';
import type { TraceAction } from '../target.ts';
import { MEMORY_HEADER, VARIABLE_BYTES } from './frame-blocks.ts';
import { extraMask, NO_PID, pidMask } from './frame-registers.ts';
import { BLOCK, type TraceBuffer } from './trace-buffer.ts';

/** What one frame may hold: a wrong length must not fill the buffer, nor take the slice's time. */
export const MOST_FRAME_BYTES = 1 << 20;
/** Collecting 128 bytes takes as long as an operation of an expression, or less. */
const BYTES_OF_STEP_SHIFT = 7;
/** The length of an M block is two bytes. */
const LONGEST_PIECE = 0x8000;

/** The frame did not fit: the trace ends. */
export class BufferFull extends Error {
  override readonly name = 'BufferFull';
}

const FULL = new BufferFull('the trace buffer is full');
const TOO_LARGE = new AgentError(`a frame beyond ${MOST_FRAME_BYTES} bytes`);
const ABSENT = new AgentError('a base register that has no number for a value');

export interface CollectorParts {
  readonly machine: MachineView;
  readonly set: RegisterSet;
  readonly buffer: TraceBuffer;
  /** Registers, memory and variables for expressions. */
  readonly environment: AgentEnvironment;
  /** The guest's process on the CPU; looking for it takes a while. */
  readonly guestPid: () => number;
}

/** Puts one action's data into the open frame. Throws `AgentError` or `BufferFull`. */
export type Collect = () => void;

export class Collector implements AgentTrace {
  readonly environment: AgentEnvironment;
  readonly #parts: CollectorParts;
  readonly #registers: RegisterBlocks;
  readonly #rip: () => bigint;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    this.#registers = new RegisterBlocks(parts.machine, parts.set);
    this.#rip = parts.machine.registerReader('rip') ?? (() => 0n);
    this.environment = tracingEnvironment(parts.environment, this);
  }

  /** Throws `AgentError` for an action that cannot be carried out. */
  compile(action: TraceAction): Collect {
    switch (action.kind) {
      case 'registers':
        return this.#compileRegisters(action.mask);
      case 'memory':
        return this.#compileMemory(action);
      case 'expression': {
        const program = new AgentProgram(action.bytecode, this.environment);
        return () => void program.evaluate();
      }
      case 'while-stepping':
        throw new Error('not an action that collects');
    }
  }

  /**
   * A frame with what the actions collect: its size in bytes. Throws `AgentError` or `BufferFull`;
   * what was written is then taken back.
   */
  collect(tracepoint: number, actions: readonly Collect[]): number {
    const { buffer, environment, machine } = this.#parts;
    try {
      if (!buffer.begin(tracepoint, this.#rip(), machine.icount)) throw FULL;
      for (let index = 0; index < actions.length; index++) actions[index]!();
    } catch (error) {
      buffer.abandon();
      throw error;
    }
    const lengthBytes = buffer.finish();
    environment.spend?.(lengthBytes >> BYTES_OF_STEP_SHIFT);
    return lengthBytes;
  }

  memory(address: bigint, lengthBytes: number): void {
    const { buffer, machine, set } = this.#parts;
    for (let done = 0; done < lengthBytes;) {
      const piece = Math.min(LONGEST_PIECE, lengthBytes - done);
      const offset = this.#block(BLOCK.memory, MEMORY_HEADER + piece);
      const start = set.linear(done === 0 ? address : address + BigInt(done));
      buffer.view.setBigUint64(offset + 1, start, true);
      const read = machine.copyLinear(start, piece, buffer.bytes, offset + MEMORY_HEADER);
      buffer.view.setUint16(offset + 9, read, true);
      // What is not mapped is not in the frame; the rest is no less true for it.
      if (read < piece) buffer.giveBack(read === 0 ? MEMORY_HEADER + piece : piece - read);
      if (read < piece) return;
      done += piece;
    }
  }

  text(address: bigint, lengthBytes: number): void {
    const most = Math.min(lengthBytes, LONGEST_PIECE);
    this.environment.spend?.(most >> BYTES_OF_STEP_SHIFT);
    const zero = this.environment.bytes(address, most).indexOf(0);
    this.memory(address, zero < 0 ? most : zero + 1);
  }

  variable(number: number): void {
    const offset = this.#block(BLOCK.variable, VARIABLE_BYTES);
    const { view } = this.#parts.buffer;
    view.setUint32(offset + 1, number, true);
    view.setBigUint64(offset + 5, this.environment.variables.get(number) ?? 0n, true);
  }

  /** All of `g` for any register of it, as gdbserver does. */
  #compileRegisters(mask: bigint): Collect {
    const { buffer, guestPid, set } = this.#parts;
    const wantsExtra = (mask & extraMask(set)) !== 0n;
    const wantsPid = (mask & pidMask(set)) !== 0n;
    return () => {
      const offset = this.#block(BLOCK.registers, 1 + set.generalBytes);
      this.#registers.storeGeneral(buffer.view, offset + 1);
      if (!wantsExtra) return;
      const extra = this.#block(BLOCK.extra, 1 + set.extraBytes);
      this.#registers.storeExtra(buffer.view, extra + 1, wantsPid ? guestPid() : NO_PID);
    };
  }

  #compileMemory(action: TraceAction & { kind: 'memory' }): Collect {
    const { baseRegister, offset, lengthBytes } = action;
    const { pointerBytes } = this.#parts.set;
    if (baseRegister === undefined) return () => this.memory(offset, lengthBytes);
    const base = this.environment.register(baseRegister);
    if (base === undefined) throw ABSENT;
    return () => this.memory(BigInt.asUintN(8 * pointerBytes, base() + offset), lengthBytes);
  }

  #block(tag: number, lengthBytes: number): number {
    const { buffer } = this.#parts;
    if (buffer.openBytes + lengthBytes > MOST_FRAME_BYTES) throw TOO_LARGE;
    const offset = buffer.room(lengthBytes);
    if (offset < 0) throw FULL;
    buffer.bytes[offset] = tag;
    return offset;
  }
}

/** The same environment, with a place to put what is traced. */
function tracingEnvironment(environment: AgentEnvironment, trace: AgentTrace): AgentEnvironment {
  return {
    register: (number) => environment.register(number),
    integer: (address, lengthBytes) => environment.integer(address, lengthBytes),
    bytes: (address, lengthBytes) => environment.bytes(address, lengthBytes),
    variables: environment.variables,
    print: (text) => environment.print(text),
    spend: (steps) => environment.spend?.(steps),
    trace,
  };
}
