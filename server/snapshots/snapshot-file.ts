/**
 * A machine in a file: `snapshot-sections.ts` draws its frame. The sections:
 *
 *     origin  how the machine was started: name of the image, command line; which program saved it
 *     modules the bytes of its boot modules, one behind the other; `origin` has names, command lines and
 *             lengths. Neither is there without modules
 *     image   the kernel's file: debuggers read symbols from it, a reset boots it. So a snapshot needs
 *             nothing beside it, and never meets a kernel that has been built anew
 *     core    CPU, devices, clock and TLB (machine/time-travel/machine-state.ts)
 *     serial  what COM1 has sent
 *     ram     pages that are not all zero, in runs: how many pages (4 bytes, 1 to 256), bytes in the
 *             file (4), their numbers (4 each), then the pages, compressed with zlib
 *
 * `origin` and `core` are JSON (`plain-text.ts`). The numbers of pages ascend over the whole section.
 */
import { deflateSync } from 'node:zlib';
import { checkedCore, MOST_PAGES_IN_RUN, StateError, type BootModule, type MachineState, type PageRun, type StateValue } from '../../machine/index.ts'; // prettier-ignore
import { VERSION } from '../package-root.ts';
import { decodePlain, encodePlain } from './plain-text.ts';
import { inflateExactly, readFrame, SnapshotError, writeFrame } from './snapshot-sections.ts';

const PAGE_BYTES = 4096;
const RUN_HEADER_BYTES = 8;
const MOST_NAME = 4096;
const MIB = 2 ** 20;

/** A machine, and what it was started from. */
export interface Snapshot {
  /** The last part of the image's path: the host's folders are nobody else's business. */
  readonly imageName: string;
  readonly commandLine: string;
  readonly modules: readonly BootModule[];
  readonly image: Uint8Array;
  readonly state: MachineState;
}

/** The same bytes for the same snapshot. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { imageName, commandLine, modules, image, state } = snapshot;
  const text = (value: StateValue): Uint8Array => Buffer.from(encodePlain(value));
  const { core, serial, pages } = state;
  const sections = new Map<string, Uint8Array>([
    [
      'origin',
      text({ imageName, commandLine, ...listOf(modules), savedBy: `exoscope ${VERSION}` }),
    ],
    ...(modules.length === 0 ? [] : [['modules', concatenated(modules)] as const]),
    ['image', image],
    ['core', text(core as unknown as StateValue)],
    ['serial', serial],
    ['ram', Buffer.concat([...pages].map(encodeRun))],
  ]);
  return writeFrame({ memoryBytes: core.memoryBytes, sections }, new Set(['ram']));
}

/**
 * Throws `SnapshotError`, one line without the file's name. Pages are unpacked as they are asked for, and
 * only then found to be bad.
 */
export function decodeSnapshot(file: Uint8Array): Snapshot {
  const { memoryBytes, sections } = readFrame(file);
  const section = (name: string): Uint8Array => {
    const content = sections.get(name);
    if (content === undefined) throw new SnapshotError(`it has no section ${name}`);
    return content;
  };
  const core = decodeCore(section('core'));
  const isMemory = memoryBytes === core.memoryBytes && memoryBytes % MIB === 0;
  if (!isMemory || memoryBytes < 2 * MIB || memoryBytes > 2048 * MIB) {
    throw new SnapshotError('the size of its memory is wrong');
  }
  const ram = section('ram');
  const pages = { [Symbol.iterator]: () => decodeRuns(ram) };
  const serial = section('serial');
  if (serial.length > MIB) throw new SnapshotError('more than a MiB of serial output');
  return {
    ...decodeOrigin(section('origin'), sections.get('modules')),
    image: section('image'),
    state: { core, serial, pages },
  };
}

function decodeCore(section: Uint8Array): MachineState['core'] {
  try {
    return checkedCore(plainOf(section) ?? null);
  } catch (error) {
    throw error instanceof StateError ? new SnapshotError(error.message) : error;
  }
}

function decodeOrigin(
  section: Uint8Array,
  contents: Uint8Array = new Uint8Array(0),
): Pick<Snapshot, 'imageName' | 'commandLine' | 'modules'> {
  const origin = (plainOf(section) ?? {}) as Readonly<Record<string, StateValue>>;
  const { imageName, commandLine, modules = [] } = origin;
  if (isText(imageName) && isText(commandLine) && Array.isArray(modules)) {
    return { imageName, commandLine, modules: decodeModules(modules, contents) };
  }
  throw new SnapshotError('its section origin cannot be read');
}

/** The lengths add up to what there is. */
function decodeModules(list: readonly StateValue[], contents: Uint8Array): readonly BootModule[] {
  let at = 0;
  const modules = list.map((entry) => {
    const { name, commandLine, lengthBytes } = (entry ?? {}) as Readonly<
      Record<string, StateValue>
    >;
    const isLength = Number.isSafeInteger(lengthBytes) && Number(lengthBytes) >= 0;
    if (!isText(name) || !isText(commandLine) || !isLength) {
      throw new SnapshotError('its modules cannot be read');
    }
    const start = at;
    at += Number(lengthBytes);
    return { name, commandLine, content: contents.subarray(start, at) };
  });
  if (at !== contents.length) throw new SnapshotError('its modules cannot be read');
  return modules;
}

function listOf(modules: readonly BootModule[]): { modules?: StateValue } {
  if (modules.length === 0) return {};
  return {
    modules: modules.map(({ name, commandLine, content }) => ({
      name,
      commandLine,
      lengthBytes: content.length,
    })),
  };
}

function concatenated(modules: readonly BootModule[]): Uint8Array {
  return Buffer.concat(modules.map(({ content }) => content));
}

function isText(value: StateValue | undefined): value is string {
  return typeof value === 'string' && value.length <= MOST_NAME;
}

function plainOf(section: Uint8Array): StateValue | undefined {
  return decodePlain(Buffer.from(section).toString('utf8'));
}

function encodeRun({ numbers, bytes }: PageRun): Buffer {
  const packed = deflateSync(bytes);
  const header = Buffer.alloc(RUN_HEADER_BYTES + 4 * numbers.length);
  header.writeUInt32LE(numbers.length, 0);
  header.writeUInt32LE(packed.length, 4);
  numbers.forEach((page, index) => header.writeUInt32LE(page, RUN_HEADER_BYTES + 4 * index));
  return Buffer.concat([header, packed]);
}

function* decodeRuns(section: Uint8Array): Generator<PageRun> {
  const ram = Buffer.from(section.buffer, section.byteOffset, section.length);
  for (let at = 0; at < ram.length;) {
    if (at + RUN_HEADER_BYTES > ram.length) throw new SnapshotError('its memory is cut off');
    const count = ram.readUInt32LE(at);
    const start = at + RUN_HEADER_BYTES + 4 * count;
    const end = start + ram.readUInt32LE(at + 4);
    if (count === 0 || count > MOST_PAGES_IN_RUN || end > ram.length) {
      throw new SnapshotError('its memory is cut off');
    }
    const numberAt = (index: number): number => ram.readUInt32LE(at + RUN_HEADER_BYTES + 4 * index);
    const numbers = Array.from({ length: count }, (_, index) => numberAt(index));
    yield { numbers, bytes: inflateExactly(ram.subarray(start, end), count * PAGE_BYTES) };
    at = end;
  }
}
