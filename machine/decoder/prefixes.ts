/**
 * Legacy prefixes, in any order and number, and REX, which counts only directly before the opcode
 * (Intel SDM 2A §2.1.1, §2.2.1).
 */
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import type { SegmentRegister } from '../instructions/operand.ts';
import type { CodeReader } from './code-reader.ts';
import { LONGEST_INSTRUCTION } from './code-reader.ts';

export interface Prefixes {
  operandSize: boolean;
  addressSize: boolean;
  lock: boolean;
  /** The last of F2 and F3. */
  repeat: 0 | 0xf2 | 0xf3;
  segment: SegmentRegister | undefined;
  /** 0x40–0x4f, or 0 without. */
  rex: number;
}

const SEGMENT_PREFIXES = new Map<number, SegmentRegister>([
  [0x26, 'es'],
  [0x2e, 'cs'],
  [0x36, 'ss'],
  [0x3e, 'ds'],
  [0x64, 'fs'],
  [0x65, 'gs'],
]);

/** Notes a segment override; in 64-bit mode those but FS and GS are null prefixes (SDM 2A §2.2.1). */
function noteSegment(prefixes: Prefixes, byte: number, is64Bit: boolean): void {
  if (!is64Bit || byte >= 0x64) prefixes.segment = SEGMENT_PREFIXES.get(byte);
}

function notePrefix(prefixes: Prefixes, byte: number, is64Bit: boolean): boolean {
  if (byte === 0x66) prefixes.operandSize = true;
  else if (byte === 0x67) prefixes.addressSize = true;
  else if (byte === 0xf0) prefixes.lock = true;
  else if (byte === 0xf2 || byte === 0xf3) prefixes.repeat = byte;
  else if (SEGMENT_PREFIXES.has(byte)) noteSegment(prefixes, byte, is64Bit);
  else return false;
  return true;
}

/** Takes all prefixes and the byte behind them, which `opcode` returns. */
export function readPrefixes(
  reader: CodeReader,
  mode: ExecutionMode,
): { prefixes: Prefixes; opcode: number } {
  const is64Bit = mode.codeWidth === 64;
  const prefixes: Prefixes = {
    operandSize: false,
    addressSize: false,
    lock: false,
    repeat: 0,
    segment: undefined,
    rex: 0,
  };
  let byte = reader.byte();
  while (reader.position <= LONGEST_INSTRUCTION) {
    const isRex = is64Bit && (byte & 0xf0) === 0x40;
    if (!isRex && !notePrefix(prefixes, byte, is64Bit)) break;
    // A REX that is not last is ignored: the next round overwrites it.
    prefixes.rex = isRex ? byte : 0;
    byte = reader.byte();
  }
  return { prefixes, opcode: byte };
}
