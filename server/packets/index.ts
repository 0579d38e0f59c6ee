/** Every packet that the server understands, by chapters of GDB's manual. This is the one list. */
import { breakpoints } from './breakpoints.ts';
import type { PacketChapter } from './definition.ts';
import { hostIo } from './host-io.ts';
import { lldb } from './lldb.ts';
import { memory } from './memory.ts';
import { queries } from './query-general.ts';
import { qxfer } from './qxfer.ts';
import { registers } from './registers.ts';
import { resuming } from './resume.ts';
import { sessions } from './sessions.ts';
import { threads } from './threads.ts';
import { tracepoints } from './tracepoints.ts';

export const PACKET_CHAPTERS: readonly PacketChapter[] = [
  queries,
  registers,
  memory,
  breakpoints,
  resuming,
  threads,
  qxfer,
  hostIo,
  tracepoints,
  sessions,
  lldb,
];
