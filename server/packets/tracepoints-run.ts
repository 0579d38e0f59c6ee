/**
 * GDB manual, "Tracepoint Packets": starting and ending a trace, its buffer, and how it stands. The
 * buffer's fields are hexadecimal in qTStatus, decimal nowhere.
 */
import { bytesToHex, textToHex } from '../rsp/hex.ts';
import { reply } from '../rsp/reply.ts';
import type { TraceSettings, TraceStatus } from '../target/target.ts';
import type { PacketDefinition } from './definition.ts';
import { defineTracepointPacket, readPlace } from './tracepoints-packet.ts';

/** The reason in qTStatus, as gdb's `tstatus` tells it. */
function stopField({ stop }: TraceStatus): string {
  if (stop === 'running') return 'tunknown:0';
  switch (stop.kind) {
    case 'never run':
      return 'tnotrun:0';
    case 'stopped':
      // Also with an empty note: without its colon gdb 13 crashes in `tsave`.
      return `tstop:${textToHex(stop.note)}:0`;
    case 'buffer full':
      return 'tfull:0';
    case 'disconnected':
      return 'tdisconnected:0';
    case 'pass count':
      return `tpasscount:${stop.tracepoint.toString(16)}`;
    case 'error':
      return `terror:${textToHex(stop.text)}:${stop.tracepoint.toString(16)}`;
  }
}

function statusText(status: TraceStatus): string {
  const fields = [
    stopField(status),
    `tframes:${status.frames.toString(16)}`,
    `tcreated:${status.framesCreated.toString(16)}`,
    `tfree:${status.freeBytes.toString(16)}`,
    `tsize:${status.bufferBytes.toString(16)}`,
    `circular:${status.isCircular ? 1 : 0}`,
    `disconn:${status.isDisconnected ? 1 : 0}`,
    `starttime:${(status.startedAt ?? 0n).toString(16)}`,
    `stoptime:${(status.stoppedAt ?? 0n).toString(16)}`,
    `username:${textToHex(status.user)}`,
    `notes:${textToHex(status.notes)}`,
  ];
  return `T${status.stop === 'running' ? 1 : 0};${fields.join(';')}`;
}

/** A switch that is one field, `:0` or `:1`. */
function defineSwitch(
  name: string,
  purpose: string,
  settings: (isOn: boolean) => TraceSettings,
  announcement?: string,
): PacketDefinition {
  return defineTracepointPacket({
    name,
    syntax: `${name}:0|1`,
    purpose,
    ...(announcement === undefined ? {} : { announcement }),
    async handle(fields, tracepoints) {
      fields.expect(':');
      const isOn = fields.length(1) === 1;
      fields.end();
      await tracepoints.configure(settings(isOn));
      return reply.ok;
    },
  });
}

const NOTES = { user: 'user', notes: 'notes', tstop: 'stopNote' } as const;

export const runPackets: readonly PacketDefinition[] = [
  defineTracepointPacket({
    name: 'QTinit',
    syntax: 'QTinit',
    purpose: 'forget all tracepoints, variables and frames',
    async handle(fields, tracepoints, { holdings }) {
      fields.end();
      holdings.traceFrame = undefined;
      await tracepoints.clear();
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'QTStart',
    syntax: 'QTStart',
    purpose: 'start to collect (gdb: tstart)',
    async handle(fields, tracepoints, { holdings }) {
      fields.end();
      holdings.traceFrame = undefined;
      await tracepoints.start();
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'QTStop',
    syntax: 'QTStop',
    purpose: 'end collecting (gdb: tstop)',
    async handle(fields, tracepoints) {
      fields.end();
      await tracepoints.stop();
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'qTStatus',
    syntax: 'qTStatus',
    purpose: 'whether a trace runs, why it ended, and how full its buffer is',
    async handle(fields, tracepoints) {
      fields.end();
      return reply.text(statusText(await tracepoints.status()));
    },
  }),
  defineTracepointPacket({
    name: 'qTP',
    syntax: 'qTP:n:addr',
    purpose: 'how often a tracepoint was hit, and the bytes of its frames',
    async handle(fields, tracepoints) {
      const place = readPlace(fields);
      fields.end();
      const { hits, bytes } = await tracepoints.usage(place);
      return reply.text(`V${hits.toString(16)}:${bytes.toString(16)}`);
    },
  }),
  defineTracepointPacket({
    name: 'qTV',
    syntax: 'qTV:n',
    purpose: 'the value of a trace state variable, in a selected frame as it was collected',
    async handle(fields, tracepoints, { holdings: { traceFrame } }) {
      fields.expect(':');
      const number = fields.length();
      fields.end();
      const value =
        traceFrame === undefined ? await tracepoints.variable(number) : traceFrame.variable(number);
      return reply.text(value === undefined ? 'U' : `V${value.toString(16)}`);
    },
  }),
  defineSwitch(
    'QTBuffer:circular',
    'a full buffer overwrites its oldest frames (1) or ends the trace (0)',
    (isCircular) => ({ isCircular }),
  ),
  defineTracepointPacket({
    name: 'QTBuffer:size',
    syntax: 'QTBuffer:size:length',
    purpose: 'the size of the buffer in bytes; −1: as the server likes',
    announcement: 'QTBuffer:size+',
    async handle(fields, tracepoints) {
      fields.expect(':');
      const isDefault = fields.accepts('-1');
      const bufferBytes = isDefault ? 'default' : fields.length();
      fields.end();
      await tracepoints.configure({ bufferBytes });
      return reply.ok;
    },
  }),
  defineSwitch(
    'QTDisconnected',
    'a trace goes on when its debugger leaves (1) or ends (0)',
    (isDisconnected) => ({ isDisconnected }),
    'DisconnectedTracing+',
  ),
  defineTracepointPacket({
    name: 'QTNotes',
    syntax: 'QTNotes:[user:XX;][notes:XX;][tstop:XX]',
    purpose: 'who traces, what for, and why it was ended',
    async handle(fields, tracepoints) {
      fields.expect(':');
      const settings: { -readonly [Key in keyof TraceSettings]: TraceSettings[Key] } = {};
      while (!fields.isAtEnd) {
        const key = fields.textUntil(':');
        fields.expect(':');
        const text = fields.hexText();
        fields.accepts(';');
        if (isNote(key)) settings[NOTES[key]] = text;
        else fields.fail('user, notes or tstop expected');
      }
      await tracepoints.configure(settings);
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'qTBuffer',
    syntax: 'qTBuffer:offset,length',
    purpose: "a piece of all frames in the form of gdb's trace files (gdb: tsave)",
    async handle(fields, tracepoints, { client }) {
      fields.expect(':');
      const offset = fields.length();
      fields.expect(',');
      const length = Math.min(fields.length(), MOST_UPLOAD);
      fields.end();
      // Before the first g gdb takes all registers of the description for its block.
      const registers = client.knowsRegisterBlock ? 'g' : 'all';
      const bytes = await tracepoints.upload(offset, length, registers);
      return reply.text(bytes.length === 0 ? 'l' : bytesToHex(bytes));
    },
  }),
];

/** In hex it is twice as long, below the packet size. */
const MOST_UPLOAD = 0x8000;

function isNote(key: string): key is keyof typeof NOTES {
  return Object.hasOwn(NOTES, key);
}
