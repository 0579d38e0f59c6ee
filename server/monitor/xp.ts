/**
 * `xp /FMT ADDRESS`: physical memory in the format of QEMU's monitor (monitor/misc.c,
 * memory_dump): count, format x d u o c, size b h w g.
 */
import { fromLittleEndian } from '../target/register-table.ts';
import { hex16 } from './format.ts';
import { MonitorError, defineMonitorCommand, parseAddress } from './monitor-command.ts';

const MOST_BYTES = 65536;
const LINE_BYTES = 16;
const SIZES: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };

interface Format {
  readonly count: number;
  readonly letter: string;
  readonly size: number;
}

export const physicalMemoryCommand = defineMonitorCommand({
  name: 'xp',
  syntax: 'xp [/COUNT FORMAT SIZE] ADDRESS',
  access: 'look',
  summary: 'physical memory, as QEMU prints it: `xp /4xg 0x100000`',
  help: [
    'FORMAT is x, d, u, o or c; SIZE is b (1 byte), h (2), w (4) or g (8); without /… it is /1xw.',
    "Memory at a linear address is gdb's own `x`; so are instructions.",
  ].join('\n'),
  sample: '0000000000100000: 0x000100031badb002 0x00100000e4514ffb',
  run(context, args) {
    const hasFormat = args[0]?.startsWith('/') === true;
    const [text, ...rest] = hasFormat ? args.slice(1) : args;
    if (text === undefined || rest.length > 0) throw new MonitorError(`usage: ${this.syntax}`);
    const format = parseFormat(hasFormat ? args[0]! : '');
    const start = parseAddress(text, context);
    const bytes = context.machine.readPhysical(start, format.count * format.size);
    if (bytes.length < format.size) throw new MonitorError(`0x${start.toString(16)} is not RAM`);
    return dump(bytes, start, format);
  },
});

function parseFormat(text: string): Format {
  const match = /^\/?(\d{0,6})([a-z]{0,2})$/.exec(text);
  const letters = Array.from(match?.[2] ?? '?');
  const letter = letters.find((candidate) => 'xduoc'.includes(candidate)) ?? 'x';
  const sizeLetter = letters.find((candidate) => candidate in SIZES);
  const size = sizeLetter === undefined ? (letter === 'c' ? 1 : 4) : SIZES[sizeLetter]!;
  const isUnderstood = letters.every((candidate) => 'xduocbhwg'.includes(candidate));
  if (match === null || !isUnderstood) {
    throw new MonitorError(`"${text}" is not a format such as /4xg (instructions: use gdb's x/i)`);
  }
  const count = match[1] === '' ? 1 : Number(match[1]);
  if (count < 1 || count * size > MOST_BYTES) {
    throw new MonitorError(`between 1 and ${MOST_BYTES / size} items can be shown at once`);
  }
  return { count, letter, size };
}

function dump(bytes: Uint8Array, start: bigint, { letter, size }: Format): string {
  const lines: string[] = [];
  for (let offset = 0; offset + size <= bytes.length; offset += LINE_BYTES) {
    const line = bytes.subarray(offset, offset + LINE_BYTES);
    const items: string[] = [];
    for (let item = 0; item + size <= line.length; item += size) {
      items.push(formatItem(fromLittleEndian(line.subarray(item, item + size)), letter, size));
    }
    lines.push(`${hex16(start + BigInt(offset))}: ${items.join(' ')}`);
  }
  return lines.join('\n');
}

/** Widths of decimal and octal items by their size, so that columns stand still. */
const DECIMAL_WIDTH: Readonly<Record<number, number>> = { 1: 3, 2: 5, 4: 10, 8: 20 };

function formatItem(value: bigint, letter: string, size: number): string {
  const bits = size * 8;
  switch (letter) {
    case 'd':
      return `${BigInt.asIntN(bits, value)}`.padStart(DECIMAL_WIDTH[size]!);
    case 'u':
      return `${value}`.padStart(DECIMAL_WIDTH[size]!);
    case 'o':
      return `0${value.toString(8).padStart(Math.ceil(bits / 3), '0')}`;
    case 'c':
      return character(Number(value & 0xffn));
    default:
      return `0x${value.toString(16).padStart(size * 2, '0')}`;
  }
}

/** monitor_printc: a C character literal. */
function character(code: number): string {
  const escapes: Readonly<Record<number, string>> = { 39: "\\'", 92: '\\\\', 10: '\\n', 13: '\\r' };
  const isPrintable = code >= 32 && code <= 126;
  const plain = isPrintable
    ? String.fromCharCode(code)
    : `\\x${code.toString(16).padStart(2, '0')}`;
  return `'${escapes[code] ?? plain}'`;
}
