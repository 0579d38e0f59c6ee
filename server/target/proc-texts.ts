/** The texts of files below /proc, as Linux writes them (proc(5)) and gdb parses them. */
import type { PageMapping } from '../../machine/index.ts';
import { printable } from '../printable.ts';
import {
  type BackedMachine,
  type BackedRegion,
  backedRegions,
  MOST_IN_CORE,
} from './backed-regions.ts';
import { type MappedMachine, type MappedRegion, mappedRegions } from './mapped-regions.ts';

export interface ProcProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  /** The kernel's own word. */
  readonly state: string;
  readonly startTick: bigint;
  readonly threads: number;
}

/** Something known at linear addresses. */
export interface Landmark {
  readonly start: bigint;
  readonly end: bigint;
  readonly name: string;
  /** Where in the named file `start` is; 0 for what is no file. */
  readonly fileOffset: bigint;
}

/** A hostile guest's; some five megabytes of text. */
const MOST_REGIONS = 65_536;
/** proc(5), VmFlags: memory mapped to a device, memory that core dumps exclude. */
const BACKING_FLAGS = { used: [], zero: ['dd'], 'no RAM': ['io'] } as const;
/** Linux pads its lines so that names stand below each other. */
const NAME_COLUMN = 73;
const LAST_ADDRESS = (1n << 64n) - 1n;

/** The letter and word of a state; what is not known sleeps. */
const STATES: Readonly<Record<string, string>> = {
  running: 'R (running)',
  ready: 'R (running)',
  alive: 'R (running)',
  zombie: 'Z (zombie)',
};
const SLEEPING = 'S (sleeping)';
/** proc(5): the last field of stat is number 52; those that mean nothing here are 0. */
const STAT_FIELDS = 52;

export function mapsText(
  machine: MappedMachine,
  cr3: bigint | undefined,
  landmarks: readonly Landmark[],
): string {
  const { regions, isCut } = mappedRegions(machine, haveEqualRights, cr3);
  return regionsText(regions, isCut, MOST_REGIONS, (region) => [mapsLine(region, landmarks)]);
}

/**
 * The same with what gdb's generate-core-file asks of each region (gdb/linux-tdep.c, dump_mapping_p): `io` is
 * no RAM and never written to a core, `dd` is all zero and written only after `set dump-excluded-mappings
 * on`. All else is Anonymous, or gdb would leave out what has the name of a file.
 */
export function smapsText(
  machine: BackedMachine,
  cr3: bigint | undefined,
  landmarks: readonly Landmark[],
): string {
  const { regions, isCut } = backedRegions(machine, haveEqualRights, cr3, landmarks);
  return regionsText(regions, isCut, MOST_IN_CORE, (region) => [
    mapsLine(region, landmarks),
    ...backingLines(region),
  ]);
}

function regionsText<Region extends MappedRegion>(
  regions: readonly Region[],
  isCut: boolean,
  most: number,
  linesOf: (region: Region) => readonly string[],
): string {
  const shown = regions.slice(0, most);
  const lines = shown.flatMap(linesOf);
  if (isCut || shown.length < regions.length) {
    const last = hex8(shown.at(-1)?.end ?? 0n);
    lines.push(line(last, last, '----', 0n, '[cut: there is more]'));
  }
  return lines.map((text) => `${text}\n`).join('');
}

function backingLines({ start, end, first, backing }: BackedRegion): string[] {
  const kilobytes = (end - start) >> 10n;
  const rights = ['rd', ...(first.isWritable ? ['wr'] : []), ...(first.isNoExecute ? [] : ['ex'])];
  return [
    `Size: ${kilobytes} kB`,
    `Rss: ${backing === 'used' ? kilobytes : 0n} kB`,
    `Anonymous: ${kilobytes} kB`,
    `VmFlags: ${[...rights, ...BACKING_FLAGS[backing]].join(' ')}`,
  ];
}

function haveEqualRights(left: PageMapping, right: PageMapping): boolean {
  return (
    left.isUser === right.isUser &&
    left.isWritable === right.isWritable &&
    left.isNoExecute === right.isNoExecute
  );
}

function mapsLine({ start, end, first }: MappedRegion, landmarks: readonly Landmark[]): string {
  const landmark = landmarks.find((place) => place.start < end && start < place.end);
  const isInside = landmark !== undefined && landmark.start - start < 0x1000n;
  const rights = `r${first.isWritable ? 'w' : '-'}${first.isNoExecute ? '-' : 'x'}p`;
  const otherName = first.isUser ? '' : '[kernel]';
  const inFile = isInside ? start - landmark.start + landmark.fileOffset : 0n;
  const last = end > LAST_ADDRESS ? LAST_ADDRESS : end;
  const name = isInside ? landmark.name : otherName;
  return line(hex8(start), hex8(last), rights, inFile > 0n ? inFile : 0n, name);
}

function line(start: string, end: string, rights: string, offset: bigint, name: string): string {
  const left = `${start}-${end} ${rights} ${hex8(offset)} 00:00 0`;
  return name === '' ? left : `${left.padEnd(NAME_COLUMN - 1)} ${name}`;
}

function hex8(value: bigint): string {
  return value.toString(16).padStart(8, '0');
}

export function statusText({ name, state, pid, parentPid, threads }: ProcProcess): string {
  const fields = {
    Name: printable(name),
    State: STATES[state] ?? SLEEPING,
    Tgid: pid,
    Pid: pid,
    PPid: parentPid,
    Threads: threads,
  };
  const lines = Object.entries(fields).map(([field, value]) => `${field}:\t${value}\n`);
  return lines.join('');
}

export function statText(process: ProcProcess): string {
  const { pid, name, state, parentPid, threads, startTick } = process;
  const fields = new Array<string>(STAT_FIELDS).fill('0');
  const known: readonly (readonly [number, string])[] = [
    [1, `${pid}`],
    [2, `(${printable(name)})`],
    [3, (STATES[state] ?? SLEEPING).charAt(0)],
    [4, `${parentPid}`],
    [20, `${threads}`],
    [22, `${startTick}`],
  ];
  for (const [number, value] of known) fields[number - 1] = value;
  return `${fields.join(' ')}\n`;
}
