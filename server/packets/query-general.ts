/**
 * GDB manual, "General Query Packets": the handshake and what does not fit another chapter.
 * Deliberately absent is qOffsets: a kernel's symbols need no relocation, and empty makes both clients
 * take them as they are.
 */
import { ERRNO } from '../rsp/errno.ts';
import { reply } from '../rsp/reply.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import { PACKET_SIZE } from './packet-context.ts';

/** gdb has all of them; lldb 14 follows forks, but not execs, and takes one process for all. */
const PROCESS_FEATURES = ['fork-events+', 'vfork-events+', 'exec-events+'];
/** A process's libraries are the kernel; see qxfer.ts. */
const LIBRARIES = 'qXfer:libraries-svr4:read+';
/** Announced to lldb, which sends no `swbreak+`: gdb would take a file of this host for the target's. */
const LLDB_LIBRARIES = 'qXfer:libraries:read+';
const LARGEST_SYSTEM_CALL = 0xffff_ffff;
const MOST_SYSTEM_CALLS = 4096;

export const queries: PacketChapter = {
  title: 'Handshake and general queries',
  packets: [
    definePacket({
      name: 'qSupported',
      syntax: 'qSupported[:feature[;feature]…]',
      purpose: 'what client and server can do',
      audience: 'anyone',
      handle(fields, context) {
        fields.accepts(':');
        const offered = new Set(Buffer.from(fields.rest()).toString('latin1').split(';'));
        const { client } = context;
        client.hasNegotiated = true;
        client.multiprocess = offered.has('multiprocess+');
        client.swbreak = offered.has('swbreak+');
        client.hwbreak = offered.has('hwbreak+');
        client.noResumed = offered.has('no-resumed+');
        client.errorMessages = offered.has('error-message+');
        client.processes =
          context.target.processes?.isWanted === true &&
          [...PROCESS_FEATURES, 'multiprocess+'].every((feature) => offered.has(feature));
        const size = `PacketSize=${PACKET_SIZE.toString(16)}`;
        const features = ['multiprocess+', 'swbreak+', 'hwbreak+', 'error-message+'];
        if (client.noResumed) features.push('no-resumed+');
        const { announcements } = context;
        const ofProcesses = client.processes
          ? [...PROCESS_FEATURES, LIBRARIES].filter((feature) => !announcements.includes(feature))
          : [];
        client.lacksLibraries = context.target.hostImage !== undefined && !client.swbreak;
        const ofLldb = client.lacksLibraries ? [LLDB_LIBRARIES] : [];
        const announced = [size, ...features, ...ofProcesses, ...ofLldb, ...announcements];
        return reply.text(announced.join(';'));
      },
    }),
    definePacket({
      name: 'QStartNoAckMode',
      syntax: 'QStartNoAckMode',
      purpose: 'no more acknowledgements: TCP needs none',
      audience: 'anyone',
      announcement: 'QStartNoAckMode+',
      handle(fields, context) {
        fields.end();
        context.stopAcknowledging();
        return reply.ok;
      },
    }),
    definePacket({
      name: 'QNonStop',
      syntax: 'QNonStop:0|1',
      purpose:
        'non-stop mode (1): stops are notifications, packets are answered while the target runs',
      announcement: (target) => (target.isNonStop === true ? 'QNonStop+' : undefined),
      handle(fields, context) {
        fields.expect(':');
        const isWanted = fields.length(1) === 1;
        fields.end();
        if (isWanted && context.target.isNonStop !== true) {
          return reply.error(ERRNO.EINVAL, 'only all-stop mode is offered');
        }
        context.nonStop.turn(isWanted);
        return reply.ok;
      },
    }),
    definePacket({
      name: '!',
      syntax: '!',
      purpose: 'extended mode (target extended-remote)',
      handle(fields) {
        fields.end();
        return reply.ok;
      },
    }),
    definePacket({
      name: 'qAttached',
      syntax: 'qAttached[:pid]',
      purpose: "1: the target was there before, so gdb's quit detaches instead of killing",
      async handle(fields, context) {
        if (fields.accepts(':')) {
          const process = fields.length(0x7fff_ffff);
          fields.end();
          await context.selection.matching({ process, thread: 'all' });
        }
        fields.end();
        return reply.text('1');
      },
    }),
    definePacket({
      name: 'qSymbol',
      syntax: 'qSymbol::',
      purpose: "gdb offers to look up symbols; the server has the image's own",
      handle: () => reply.ok,
    }),
    definePacket({
      name: 'QCatchSyscalls',
      syntax: 'QCatchSyscalls:0|1[;number]…',
      purpose: 'stop at system calls and their returns (gdb: catch syscall)',
      announcement: 'QCatchSyscalls+',
      isOffered: (target) => target.catchSystemCalls !== undefined,
      handle(fields, context) {
        fields.expect(':');
        const isOn = fields.length(1) === 1;
        const numbers = new Set<number>();
        while (isOn && fields.accepts(';')) {
          numbers.add(fields.length(LARGEST_SYSTEM_CALL));
          if (numbers.size > MOST_SYSTEM_CALLS) fields.fail('too many system calls');
        }
        fields.end();
        const all = numbers.size === 0 ? 'all' : numbers;
        context.target.catchSystemCalls!(isOn ? all : 'none');
        return reply.ok;
      },
    }),
    definePacket({
      name: 'qRcmd',
      syntax: 'qRcmd,command',
      purpose: "a monitor command (gdb's monitor, lldb's process plugin packet monitor)",
      audience: 'anyone',
      isOffered: (target) => target.monitor !== undefined,
      async handle(fields, context) {
        fields.expect(',');
        const commandLine = fields.hexText();
        fields.end();
        const before = context.target.state();
        const result = await context.target.monitor!.run({
          commandLine,
          access: context.monitorAccess,
          thread: await context.selection.thread(),
          output: (text) => context.output(text),
        });
        if (result.afterReply !== undefined) context.afterReply(result.afterReply);
        // `reset` of a guest that had ended: with nobody attached it runs, as it did before.
        const hasEnded = before.kind === 'halted' && before.hasEnded === true;
        if (hasEnded || result.hasHalted === true) context.runIfUnattended();
        if (result.failure === undefined) return reply.ok;
        if (context.client.errorMessages) return reply.error(ERRNO.EINVAL, result.failure);
        // gdb before 16 turns every error reply into "Protocol error with Rcmd": so print it instead.
        context.output(`${result.failure}\n`);
        return reply.ok;
      },
    }),
  ],
};
