/**
 * GDB manual, "Tracepoint Packets": places where the target collects registers and memory and goes
 * on, looked at later (gdb's trace, actions, tstart, tfind, tdump, tsave). One chapter in three files
 * by what a user does: defines, runs, looks. Refused: fast and static tracepoints, which need code in
 * the debugged program; QTSave, which would write files on the server's host.
 */
import type { PacketChapter } from './definition.ts';
import { definitionPackets } from './tracepoints-define.ts';
import { framePackets } from './tracepoints-frames.ts';
import { runPackets } from './tracepoints-run.ts';

export const tracepoints: PacketChapter = {
  title: 'Tracepoints',
  packets: [...definitionPackets, ...runPackets, ...framePackets],
};
