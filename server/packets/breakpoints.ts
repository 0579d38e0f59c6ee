/**
 * GDB manual, "Packets": Z and z, kinds 0–4. Both are idempotent, as the manual demands. gdb removes
 * all its breakpoints at each stop and inserts them again at each resume, so neither may be slow.
 * Conditions and commands come as agent expressions behind `kind`; the `persist` flag of commands is
 * read and has no effect: what they print has nobody to go to without a client.
 */
import { ERRNO } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { reply } from '../rsp/reply.ts';
import type { AgentCode, Breakpoint, BreakpointKind } from '../target/target.ts';
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
  return { kind, address, lengthBytes, process: context.selection.process };
}

/**
 * `;X9,2600…` conditions, `;cmds:persist,X27,2600…` commands; further ones follow at once or behind
 * another `;` (gdb 13 puts none between conditions).
 */
function readCode(fields: FieldReader): AgentCode | undefined {
  const conditions: Uint8Array[] = [];
  const commands: Uint8Array[] = [];
  let list = conditions;
  while (!fields.isAtEnd) {
    const isNext = fields.accepts(';');
    if (isNext && fields.accepts('cmds:')) {
      fields.length(1);
      fields.expect(',');
      list = commands;
    }
    list.push(readExpression(fields));
  }
  return conditions.length + commands.length === 0 ? undefined : { conditions, commands };
}

/** `Xlen,bytes`: the length in bytes, the bytes as two hex digits each. */
function readExpression(fields: FieldReader): Uint8Array {
  fields.expect('X');
  const lengthBytes = fields.length();
  fields.expect(',');
  const bytes = fields.hexBytes();
  if (bytes.length !== lengthBytes) fields.fail(`${lengthBytes} bytes expected`);
  return bytes;
}

function isWatchpoint(kind: BreakpointKind): boolean {
  return kind >= 2;
}

export const breakpoints: PacketChapter = {
  title: 'Breakpoints and watchpoints',
  packets: [
    definePacket({
      name: 'Z',
      syntax: 'Z type,addr,kind[;Xlen,expr…][;cmds:persist,Xlen,expr…]',
      purpose:
        'insert a breakpoint (0, 1) or watchpoint (2 write, 3 read, 4 access), with conditions and commands in bytecode',
      announcement: (target) =>
        target.breakpoints.takesCode === true
          ? 'ConditionalBreakpoints+;BreakpointCommands+'
          : undefined,
      async handle(fields, context) {
        const breakpoint = readBreakpoint(fields, context);
        if (breakpoint === undefined) return reply.unsupported;
        const { breakpoints: inserted } = context.target;
        // Where code is not announced, a client that sends it would wrongly rely on it.
        if (inserted.takesCode !== true) fields.end();
        const code = readCode(fields);
        const isInserted = await inserted.insert(context.owner, breakpoint, code);
        return isInserted
          ? reply.ok
          : reply.error(ERRNO.EINVAL, 'cannot be watched, or too much is watched');
      },
    }),
    definePacket({
      name: 'z',
      syntax: 'z type,addr,kind',
      purpose: 'remove a breakpoint or watchpoint',
      async handle(fields, context) {
        const breakpoint = readBreakpoint(fields, context);
        if (breakpoint === undefined) return reply.unsupported;
        fields.end();
        await context.target.breakpoints.remove(context.owner, breakpoint);
        return reply.ok;
      },
    }),
  ],
};
