/**
 * GDB manual, "Packets": D k R vKill, the ends of a session. The machine outlives its debuggers: a kill
 * detaches, because lldb's `quit` sends `k` without asking and gdb's `kill` is one word.
 */
import { ERRNO } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { reply } from '../rsp/reply.ts';
import { formatThreadId } from '../rsp/thread-id.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import type { PacketContext } from './packet-context.ts';

/** Lets one process go; with the last one, or where there is only one, the connection ends. */
async function detachProcess(fields: FieldReader, context: PacketContext): Promise<boolean> {
  const process = fields.length(0x7fff_ffff);
  await context.selection.matching({ process, thread: 'all' });
  const { processes } = context.target;
  const areOthersLeft = processes?.isActive === true && processes.detach(process);
  if (areOthersLeft) context.nonStop.letGo(process);
  return areOthersLeft;
}

export const sessions: PacketChapter = {
  title: 'Detaching, killing, restarting',
  packets: [
    definePacket({
      name: 'D',
      syntax: 'D[;pid]',
      purpose: 'detach; the machine runs on, or halts with --on-detach halt',
      isForRunningTarget: true,
      async handle(fields, context) {
        // lldb's `process detach --keep-stopped true` is `D1`.
        const stayHalted = fields.accepts('1');
        const areOthersLeft = fields.accepts(';') && (await detachProcess(fields, context));
        fields.end();
        if (areOthersLeft) return reply.ok;
        await (stayHalted ? context.detach({ stayHalted }) : context.detach());
        return reply.ok;
      },
    }),
    definePacket({
      name: 'k',
      syntax: 'k',
      purpose: 'kill: detaches, as D does',
      isForRunningTarget: true,
      async handle(fields, context) {
        fields.end();
        await context.detach();
        // gdb expects nothing and closes; lldb waits for the process to have ended.
        return reply.text('X09');
      },
    }),
    definePacket({
      name: 'vKill',
      syntax: 'vKill;pid',
      purpose: 'kill: detaches, as D does',
      isForRunningTarget: true,
      async handle(fields, context) {
        fields.expect(';');
        const areOthersLeft = await detachProcess(fields, context);
        fields.end();
        if (!areOthersLeft) await context.detach();
        return reply.ok;
      },
    }),
    definePacket({
      name: 'R',
      syntax: 'R XX',
      purpose: 'power cycle; halted before the first instruction',
      isOffered: (target) => target.restart !== undefined,
      async handle(fields, context) {
        fields.rest();
        await context.target.restart?.();
        // gdb waits for no reply to R and would take one for the next packet's.
        return reply.silent;
      },
    }),
    definePacket({
      name: 'vAttach',
      syntax: 'vAttach;pid',
      purpose: 'take a guest process again (with processes as inferiors); else refused in words',
      handle(fields, context) {
        const { processes } = context.target;
        if (processes?.isActive !== true) {
          return reply.error(ERRNO.EPERM, 'the target is attached already');
        }
        fields.expect(';');
        const process = fields.length(0x7fff_ffff);
        fields.end();
        const thread = processes.attach(process);
        if (thread === undefined) return reply.error(ERRNO.ESRCH, `no process ${process}`);
        context.selection.selectAttached(thread);
        // gdb finds its threads by itself, and asks for their stops.
        if (context.nonStop.isOn) return reply.ok;
        // Without registers: gdb has no description for this inferior yet and takes it for i386.
        return reply.text(`T00thread:${formatThreadId(process, thread, true)};`);
      },
    }),
  ],
};
