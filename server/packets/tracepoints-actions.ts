/**
 * A tracepoint's actions as QTDP and qTfP write them (GDB manual, "Tracepoint Packets", QTDP):
 *
 *     R mask          registers, bit n for gdb's number n, most significant digits first
 *     M base,off,len  memory at a register's value (−1: none) plus an offset
 *     X len,expr      an agent expression
 *     S               the rest is for while-stepping
 */
import type { FieldReader } from '../rsp/field-reader.ts';
import { bytesToHex } from '../rsp/hex.ts';
import type { TraceAction } from '../target/target.ts';

const LONGEST_MASK = 64;
const LETTERS = 'RMXSL-';
const MOST_REGISTER = 0xffff;

/** Actions up to the end, or up to the `-` that says that more come in another packet. */
export function readActions(fields: FieldReader): {
  readonly actions: readonly TraceAction[];
  readonly isWhole: boolean;
} {
  const actions: TraceAction[] = [];
  let isWhole = true;
  while (isWhole && !fields.isAtEnd) {
    if (fields.accepts('-')) isWhole = false;
    else actions.push(readAction(fields));
  }
  fields.end();
  return { actions, isWhole };
}

function readAction(fields: FieldReader): TraceAction {
  if (fields.accepts('S')) return { kind: 'while-stepping' };
  if (fields.accepts('R')) return { kind: 'registers', mask: readMask(fields) };
  if (fields.accepts('M')) return readMemory(fields);
  if (fields.accepts('X')) return { kind: 'expression', bytecode: readExpression(fields) };
  if (fields.accepts('L')) fields.fail('static tracepoints are not offered');
  fields.fail('an action R, M, X or S expected');
}

function readMask(fields: FieldReader): bigint {
  const start = fields.position;
  const digits = fields.textUntil(LETTERS);
  const isMask = /^[0-9a-f]+$/i.test(digits) && digits.length <= LONGEST_MASK;
  if (!isMask) fields.fail('a mask of registers expected', start);
  return BigInt(`0x${digits}`);
}

function readMemory(fields: FieldReader): TraceAction {
  const isAbsolute = fields.accepts('-1') || fields.accepts('FFFFFFFF') || fields.accepts('ffffffff'); // prettier-ignore
  const base = isAbsolute ? {} : { baseRegister: fields.length(MOST_REGISTER) };
  fields.expect(',');
  const offset = fields.hex();
  fields.expect(',');
  return { kind: 'memory', ...base, offset, lengthBytes: fields.length() };
}

/** `len,bytes` behind an X. */
export function readExpression(fields: FieldReader): Uint8Array {
  const lengthBytes = fields.length();
  fields.expect(',');
  const bytes = fields.hexBytes();
  if (bytes.length !== lengthBytes) fields.fail(`${lengthBytes} bytes expected`);
  return bytes;
}

export function formatExpression(bytecode: Uint8Array): string {
  return `X${bytecode.length.toString(16)},${bytesToHex(bytecode)}`;
}

/** As `readActions` reads it; nothing for the mark of while-stepping. */
export function formatAction(action: TraceAction): string {
  switch (action.kind) {
    case 'registers':
      return `R${action.mask.toString(16)}`;
    case 'memory': {
      const base = action.baseRegister === undefined ? '-1' : action.baseRegister.toString(16);
      return `M${base},${action.offset.toString(16)},${action.lengthBytes.toString(16)}`;
    }
    case 'expression':
      return formatExpression(action.bytecode);
    case 'while-stepping':
      return '';
  }
}
