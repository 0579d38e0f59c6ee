/**
 * GDB manual, "General Query Packets": qXfer, objects read in pieces. The object is made at offset 0
 * and kept until its last piece, so that all pieces are of one instant.
 */
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import { fittingLength } from '../rsp/packet-writer.ts';
import { reply } from '../rsp/reply.ts';
import { formatThreadId } from '../rsp/thread-id.ts';
import type { Awaitable, OsDataTable, Target, TargetLibrary } from '../target/target.ts';
import { definePacket, type PacketChapter, type PacketDefinition } from './definition.ts';
import { PACKET_SIZE, type PacketContext } from './packet-context.ts';
import { frameXml } from './tracepoints-frames.ts';
import { xmlText } from './xml.ts';

interface TransferObject {
  readonly object: string;
  readonly annex: string;
  readonly purpose: string;
  readonly isOffered?: (target: Target) => boolean;
  /** False: `qSupported` tells some clients only. */
  readonly isAnnounced?: false;
  /** The whole object; undefined: no such annex. */
  readonly read: (annex: string, context: PacketContext) => Awaitable<string | undefined>;
}

/** `qXfer:object:read:annex:offset,length` */
function defineTransfer(transfer: TransferObject): PacketDefinition {
  const name = `qXfer:${transfer.object}:read`;
  const isOffered = transfer.isOffered && { isOffered: transfer.isOffered };
  return definePacket({
    name,
    syntax: `${name}:${transfer.annex}:offset,length`,
    purpose: transfer.purpose,
    ...(transfer.isAnnounced === false ? {} : { announcement: `${name}+` }),
    ...isOffered,
    async handle(fields, context) {
      fields.expect(':');
      const annex = fields.textUntil(':');
      fields.expect(':');
      const offset = fields.length();
      fields.expect(',');
      const length = fields.length();
      fields.end();
      const { transfers } = context.holdings;
      const key = `${name}:${annex}`;
      const whole = offset === 0 ? undefined : transfers.get(key);
      const bytes = whole ?? (await readWhole(transfer, annex, context));
      const wanted = bytes.subarray(offset, offset + Math.min(length, PACKET_SIZE));
      const piece = wanted.subarray(0, fittingLength(wanted, PACKET_SIZE - 1));
      const isLast = offset + piece.length >= bytes.length;
      if (isLast) transfers.delete(key);
      else if (transfers.size < 16) transfers.set(key, bytes);
      return reply.binary(piece, isLast ? 'l' : 'm');
    },
  });
}

async function readWhole(
  transfer: TransferObject,
  annex: string,
  context: PacketContext,
): Promise<Uint8Array> {
  const text = await transfer.read(annex, context);
  if (text === undefined) throw new RemoteError(ERRNO.ENOENT, `no annex '${annex}'`);
  return Buffer.from(text, 'utf8');
}

async function threadsXml({ target, client }: PacketContext): Promise<string> {
  const lines = (await target.threads()).map((thread) => {
    const id = formatThreadId(thread.process, thread.id, client.multiprocess);
    const core = thread.core === undefined ? '' : ` core="${thread.core}"`;
    const name = thread.name === '' ? '' : ` name="${xmlText(thread.name)}"`;
    return `<thread id="${id}"${core}${name}>${xmlText(thread.description)}</thread>\n`;
  });
  return `<?xml version="1.0"?>\n<threads>\n${lines.join('')}</threads>\n`;
}

function osDataTable(type: string, rows: Iterable<Iterable<readonly [string, string]>>): string {
  let xml = `<?xml version="1.0"?>\n<osdata type="${xmlText(type)}">\n`;
  for (const row of rows) {
    xml += '<item>';
    for (const [column, value] of row) {
      xml += `<column name="${xmlText(column)}">${xmlText(value)}</column>`;
    }
    xml += '</item>\n';
  }
  return `${xml}</osdata>\n`;
}

/** Without a name: the list of tables, as gdb prints for `info os` (its columns are fixed). */
async function osDataXml(
  annex: string,
  tables: readonly OsDataTable[],
): Promise<string | undefined> {
  if (annex === '') {
    const rows = tables.map(({ name, description }) => [
      ['Type', name] as const,
      ['Description', description] as const,
      ['Title', name] as const,
    ]);
    return osDataTable('types', rows);
  }
  const table = tables.find(({ name }) => name === annex);
  return table && osDataTable(annex, await table.rows());
}

/** GDB manual, "Library List Format for SVR4 Targets"; there is no link map to point to. */
function librariesXml(libraries: readonly TargetLibrary[]): string {
  const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;
  const lines = libraries.map(({ path, offset, dynamicAddress = 0n }, index) => {
    const map = `lm="${hex(BigInt(index + 1))}" lmid="0x0"`;
    const places = `l_addr="${hex(offset)}" l_ld="${hex(dynamicAddress)}"`;
    return `<library name="${xmlText(path)}" ${map} ${places}/>\n`;
  });
  return `<library-list-svr4 version="1.0">\n${lines.join('')}</library-list-svr4>\n`;
}

/**
 * GDB manual, "Library List Format", for lldb, which makes a file of its own host the program of it. lldb 14
 * reads the list again for the same stop, and would then forget where it has put the sections.
 */
function hostImageXml({ target: { hostImage: image }, client }: PacketContext): string {
  const isFirst = client.isLldb && client.lacksLibraries;
  client.lacksLibraries = false;
  if (client.kernelFile === 'sought') client.kernelFile = 'in memory';
  if (image === undefined || !isFirst) return '<library-list></library-list>\n';
  const section = `<section address="0x${image.address.toString(16)}"/>`;
  return `<library-list><library name="${xmlText(image.path)}">${section}</library></library-list>\n`;
}

/** Processes have the kernel besides their programs, and not one another's symbols. */
function librariesOf(
  { libraries = [], processes }: Target,
  process: number,
): readonly TargetLibrary[] {
  return processes?.isActive === true ? processes.librariesOf(process) : libraries;
}

/** The process that an annex names in hex; without one the selected process. */
function processOfAnnex(annex: string, context: PacketContext): number {
  if (annex === '') return context.selection.process;
  if (!/^[0-9a-f]{1,8}$/i.test(annex)) throw new RemoteError(ERRNO.EINVAL, 'not a process id');
  return Number.parseInt(annex, 16);
}

export const qxfer: PacketChapter = {
  title: 'Objects (qXfer)',
  packets: [
    defineTransfer({
      object: 'features',
      annex: 'annex',
      purpose: 'the target description: all registers with names and types',
      read: (annex, { target, client }) =>
        target.description(annex, client.isLldb ? 'lldb' : 'gdb'),
    }),
    defineTransfer({
      object: 'threads',
      annex: '',
      purpose: 'all threads with names and states in one round trip',
      read: (annex, context) => (annex === '' ? threadsXml(context) : undefined),
    }),
    defineTransfer({
      object: 'exec-file',
      annex: 'pid',
      purpose:
        'the path of the program, which gdb then reads by vFile: symbols without a local file',
      isOffered: (target) => target.files !== undefined,
      read: (annex, context) => context.target.files?.executableOf(processOfAnnex(annex, context)),
    }),
    defineTransfer({
      object: 'memory-map',
      annex: '',
      purpose: 'regions of virtual memory, where the target declares them',
      isOffered: (target) => target.memoryMap !== undefined,
      read: (annex, { target }) => (annex === '' ? target.memoryMap?.() : undefined),
    }),
    defineTransfer({
      object: 'libraries-svr4',
      annex: '',
      purpose: 'symbol files beside the executable and where they are; gdb reads them by vFile',
      isOffered: (target) => target.libraries !== undefined || target.processes?.isActive === true,
      read: (annex, { target, selection }) =>
        annex === '' ? librariesXml(librariesOf(target, selection.process)) : undefined,
    }),
    defineTransfer({
      object: 'libraries',
      annex: '',
      purpose: "the kernel's file on the server's host, for lldb that was given none",
      isOffered: (target) => target.hostImage !== undefined,
      isAnnounced: false,
      read: (annex, context) => (annex === '' ? hostImageXml(context) : undefined),
    }),
    defineTransfer({
      object: 'osdata',
      annex: 'table',
      purpose: "tables of gdb's info os",
      isOffered: (target) => target.osData !== undefined,
      read: (annex, { target }) => osDataXml(annex, target.osData ?? []),
    }),
    defineTransfer({
      object: 'traceframe-info',
      annex: '',
      purpose: 'which memory and variables the selected trace frame has',
      isOffered: (target) => target.tracepoints !== undefined,
      read: (annex, { holdings: { traceFrame } }) =>
        annex === '' && traceFrame !== undefined ? frameXml(traceFrame) : undefined,
    }),
  ],
};
