/**
 * A decoded record: one instruction as the step engine's handlers read it, 64 bytes. The handler is
 * the step engine's, a region of the block engine that begins here, or that of a breakpoint.
 *
 *     0  u32  handler      index in the function table
 *     4  u32  link         record of the branch target on the same page; 0 if it is not decoded
 *     8  u16  operand 0    offset in linear memory of a register operand
 *    10  u16  operand 1
 *    12  u16  operand 2
 *    16  u16  base         likewise of the address's base register
 *    18  u16  index
 *    22  u8   length       bytes of the instruction; 0 for a pseudo-record
 *    24  u64  displacement
 *    32  u64  immediate 0  first immediate operand, branch target, or a pseudo-record's argument
 *    40  u64  immediate 1
 *    48  u64  next rip     offset in CS of the next instruction
 *    56  u32  entry        which entry of its region the record is, if its handler is a region
 *    60  u32  step         handler of this one instruction, whatever `handler` is at present
 *
 * Records of instructions that follow one another lie one after another; each run of them ends with
 * a record that does not go on to the next.
 */
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import type { Operand } from '../instructions/operand.ts';
import { generalRegisterOffset, vectorRegisterOffset } from '../state/fields.ts';
import { RECORD_ARENA_BASE, RECORD_ARENA_BYTES } from '../state/layout.ts';

export const RECORD_BYTES = 64;
export const RECORD = {
  handler: 0,
  link: 4,
  operand: 8,
  base: 16,
  index: 18,
  length: 22,
  displacement: 24,
  immediate: 32,
  nextRip: 48,
  entry: 56,
  step: 60,
} as const;

/** Which immediate slot an operand uses: the first such operand has slot 0, the second slot 1. */
export function immediateSlot(operands: readonly Operand[], operand: Operand): number {
  const immediates = operands.filter(({ kind }) => kind === 'immediate' || kind === 'relative');
  const slot = immediates.indexOf(operand);
  if (slot < 0 || slot > 1) throw new Error('no immediate slot for this operand');
  return slot;
}

/** Hands out records and writes them; full means that all code must be forgotten. */
export class RecordArena {
  private readonly words: Uint32Array;
  private readonly halves: Uint16Array;
  private readonly bytes: Uint8Array;
  private readonly quads: BigUint64Array;
  /** Where the next record will be. */
  nextRecord: number = RECORD_ARENA_BASE;

  constructor(memory: WebAssembly.Memory) {
    this.words = new Uint32Array(memory.buffer);
    this.halves = new Uint16Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.quads = new BigUint64Array(memory.buffer);
  }

  /** True if `records` more fit. */
  hasRoom(records: number): boolean {
    return this.nextRecord + records * RECORD_BYTES <= RECORD_ARENA_BASE + RECORD_ARENA_BYTES;
  }

  clear(): void {
    this.nextRecord = RECORD_ARENA_BASE;
  }

  /** Appends an instruction; result: the record's address in linear memory. */
  append(handler: number, instruction: DecodedInstruction, nextRip: bigint): number {
    const record = this.appendPseudo(handler, 0n, nextRip);
    this.bytes[record + RECORD.length] = instruction.lengthBytes;
    instruction.operands.forEach((operand, position) =>
      this.writeOperand(record, instruction.operands, operand, position),
    );
    return record;
  }

  /** Appends a record that is no instruction: it retires nothing. */
  appendPseudo(handler: number, argument: bigint, nextRip: bigint): number {
    const record = this.nextRecord;
    this.nextRecord += RECORD_BYTES;
    this.words.fill(0, record / 4, (record + RECORD_BYTES) / 4);
    this.words[(record + RECORD.handler) / 4] = handler;
    this.words[(record + RECORD.step) / 4] = handler;
    this.quads[(record + RECORD.immediate) / 8] = argument;
    this.quads[(record + RECORD.nextRip) / 8] = nextRip;
    return record;
  }

  handler(record: number): number {
    return this.words[(record + RECORD.handler) / 4]!;
  }

  setHandler(record: number, handler: number): void {
    this.words[(record + RECORD.handler) / 4] = handler;
  }

  /** The handler that executes this one instruction. */
  stepHandler(record: number): number {
    return this.words[(record + RECORD.step) / 4]!;
  }

  setEntry(record: number, entry: number): void {
    this.words[(record + RECORD.entry) / 4] = entry;
  }

  setLink(record: number, target: number): void {
    this.words[(record + RECORD.link) / 4] = target;
  }

  nextRip(record: number): bigint {
    return this.quads[(record + RECORD.nextRip) / 8]!;
  }

  /** Offset in CS of the record's own instruction. */
  rip(record: number): bigint {
    return this.nextRip(record) - BigInt(this.bytes[record + RECORD.length]!);
  }

  private writeOperand(
    record: number,
    operands: readonly Operand[],
    operand: Operand,
    position: number,
  ): void {
    switch (operand.kind) {
      case 'register': {
        const offset = generalRegisterOffset(operand.register) + (operand.high ? 1 : 0);
        this.halves[(record + RECORD.operand) / 2 + position] = offset;
        break;
      }
      case 'vector':
        this.halves[(record + RECORD.operand) / 2 + position] = vectorRegisterOffset(
          operand.register,
        );
        break;
      case 'memory':
        this.halves[(record + RECORD.base) / 2] = generalRegisterOffset(operand.base ?? 0);
        this.halves[(record + RECORD.index) / 2] = generalRegisterOffset(operand.index ?? 0);
        this.quads[(record + RECORD.displacement) / 8] = operand.displacement;
        break;
      case 'immediate':
      case 'relative': {
        const slot = immediateSlot(operands, operand);
        const value = operand.kind === 'immediate' ? operand.value : operand.target;
        this.quads[(record + RECORD.immediate) / 8 + slot] = value;
        break;
      }
      case 'segment-register':
      case 'control-register':
      case 'debug-register':
      case 'far':
        break; // part of the shape: the handler knows it
    }
  }
}
