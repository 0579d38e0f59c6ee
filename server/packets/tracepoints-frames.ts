/**
 * GDB manual, "Tracepoint Packets": QTFrame. While a frame is selected g, p, m, x and their kin read
 * from it, and nothing can be written; resuming the target selects none.
 */
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { reply } from '../rsp/reply.ts';
import type { TraceFrame, TraceFrameQuery } from '../target/target.ts';
import type { PacketDefinition } from './definition.ts';
import type { PacketContext } from './packet-context.ts';
import { defineTracepointPacket } from './tracepoints-packet.ts';

/** gdb's −1: back to the live target. */
const NO_FRAME = 0xffff_ffff;

function readRange(fields: FieldReader, kind: 'inside' | 'outside'): TraceFrameQuery {
  const start = fields.hex();
  fields.expect(':');
  return { kind, start, end: fields.hex() };
}

function readQuery(fields: FieldReader): TraceFrameQuery {
  if (fields.accepts('pc:')) {
    const address = fields.hex();
    return { kind: 'inside', start: address, end: address };
  }
  if (fields.accepts('tdp:')) return { kind: 'tracepoint', tracepoint: fields.length(NO_FRAME) };
  if (fields.accepts('range:')) return readRange(fields, 'inside');
  if (fields.accepts('outside:')) return readRange(fields, 'outside');
  if (fields.accepts('-1')) return { kind: 'number', number: NO_FRAME };
  return { kind: 'number', number: fields.length(NO_FRAME) };
}

export const framePackets: readonly PacketDefinition[] = [
  defineTracepointPacket({
    name: 'QTFrame',
    syntax: 'QTFrame:n',
    purpose:
      'select a frame by its number, or the next one by pc:addr, tdp:t, range:start:end, outside:start:end (gdb: tfind)',
    async handle(fields, tracepoints, { holdings }) {
      fields.expect(':');
      const query = readQuery(fields);
      fields.end();
      if (query.kind === 'number' && query.number === NO_FRAME) {
        holdings.traceFrame = undefined;
        return reply.ok;
      }
      const found = await tracepoints.find(query, holdings.traceFrame?.number);
      if (found === undefined) return reply.text('F-1');
      holdings.traceFrame = found;
      return reply.text(`F${found.number.toString(16)}T${found.tracepoint.toString(16)}`);
    },
  }),
];

/** What stands in a frame cannot be changed. */
export function refuseInFrame({ holdings }: PacketContext): void {
  if (holdings.traceFrame === undefined) return;
  throw new RemoteError(ERRNO.EPERM, 'a trace frame is selected: it cannot be changed');
}

/** `qXfer:traceframe-info`: what of memory and variables the frame has. */
export function frameXml(frame: TraceFrame): string {
  const memory = frame.memoryRanges.map(
    ({ start, lengthBytes }) =>
      `<memory start="0x${start.toString(16)}" length="0x${lengthBytes.toString(16)}"/>\n`,
  );
  const variables = frame.variableNumbers.map(
    (number) => `<tvar id="0x${number.toString(16)}"/>\n`,
  );
  const head = '<?xml version="1.0"?>\n<!DOCTYPE traceframe-info SYSTEM "traceframe-info.dtd">\n';
  return `${head}<traceframe-info>\n${memory.join('')}${variables.join('')}</traceframe-info>\n`;
}
