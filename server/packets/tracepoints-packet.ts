/** What all tracepoint packets share. */
import { RemoteError } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { MalformedPacket } from '../rsp/malformed-packet.ts';
import { reply, type Reply } from '../rsp/reply.ts';
import type { Awaitable, TargetTracepoints, TracepointPlace } from '../target/target.ts';
import { definePacket, type PacketDefinition } from './definition.ts';
import type { PacketContext } from './packet-context.ts';

/** gdb's trace files have 16 bits for the number, and number 0 ends them. */
const MOST_NUMBER = 0xffff;

type TracepointPacket = Omit<PacketDefinition, 'handle' | 'isOffered'> & {
  readonly handle: (
    fields: FieldReader,
    tracepoints: TargetTracepoints,
    context: PacketContext,
  ) => Awaitable<Reply>;
};

/**
 * A packet of a target that has tracepoints. Every gdb prints `E.text` here ("Target returns error
 * code"), and takes E1x for a fault of its own in field x.
 */
export function defineTracepointPacket({ handle, ...rest }: TracepointPacket): PacketDefinition {
  return definePacket({
    ...rest,
    isOffered: (target) => target.tracepoints !== undefined,
    async handle(fields, context) {
      try {
        return await handle(fields, context.target.tracepoints!, context);
      } catch (error) {
        const isTheirs = error instanceof RemoteError || error instanceof MalformedPacket;
        if (isTheirs) return reply.errorText(error.message);
        throw error;
      }
    },
  });
}

/** `:n:addr` */
export function readPlace(fields: FieldReader): TracepointPlace {
  fields.expect(':');
  return readNumberAndAddress(fields);
}

/** `n:addr` */
export function readNumberAndAddress(fields: FieldReader): TracepointPlace {
  const start = fields.position;
  const number = fields.length(MOST_NUMBER);
  if (number === 0) fields.fail('a tracepoint from 1 on expected', start);
  fields.expect(':');
  return { number, address: fields.hex() };
}
