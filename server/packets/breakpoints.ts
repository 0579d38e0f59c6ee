/**
 * GDB manual, "Packets": Z and z, kinds 0–4. Both are idempotent, as the manual demands. gdb removes
 * all its breakpoints at each stop and inserts them again at each resume, so neither may be slow.
 */
import { ERRNO } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { reply } from '../rsp/reply.ts';
import type { Breakpoint, BreakpointKind } from '../target/target.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import type { PacketContext } from './packet-context.ts';

/** `type,addr,kind`; undefined for a type that the target does not have. */
function readBreakpoint(fields: FieldReader, context: PacketContext): Breakpoint | undefined {
  const type = fields.length(0xff);
  fields.expect(',');
  const address = fields.hex();
  fields.expect(',');
  const lengthBytes = fields.length();
  const kind = context.target.breakpoints.kinds.find((offered) => offered === type);
  if (kind === undefined) return undefined;
  if (isWatchpoint(kind) && lengthBytes === 0) fields.fail('a length of at least 1 expected');
  // Conditions are not announced, so a client that sends them would wrongly rely on them.
  fields.end();
  return { kind, address, lengthBytes, process: context.selection.process };
}

function isWatchpoint(kind: BreakpointKind): boolean {
  return kind >= 2;
}

export const breakpoints: PacketChapter = {
  title: 'Breakpoints and watchpoints',
  packets: [
    definePacket({
      name: 'Z',
      syntax: 'Z type,addr,kind',
      purpose: 'insert a breakpoint (0, 1) or watchpoint (2 write, 3 read, 4 access)',
      async handle(fields, context) {
        const breakpoint = readBreakpoint(fields, context);
        if (breakpoint === undefined) return reply.unsupported;
        const isInserted = await context.target.breakpoints.insert(context.owner, breakpoint);
        return isInserted ? reply.ok : reply.error(ERRNO.EINVAL, 'cannot be watched');
      },
    }),
    definePacket({
      name: 'z',
      syntax: 'z type,addr,kind',
      purpose: 'remove a breakpoint or watchpoint',
      async handle(fields, context) {
        const breakpoint = readBreakpoint(fields, context);
        if (breakpoint === undefined) return reply.unsupported;
        await context.target.breakpoints.remove(context.owner, breakpoint);
        return reply.ok;
      },
    }),
  ],
};
