/** `disassemble [ADDR [COUNT]]`: instructions by the machine's own decoder, in Intel syntax. */
import { disassemble } from '../../machine/index.ts';
import { addressWithSymbol, hex16 } from './format.ts';
import {
  MonitorError,
  type MonitorContext,
  defineMonitorCommand,
  expectArguments,
  parseAddress,
  parseCount,
} from './monitor-command.ts';
import { register } from './system-tables.ts';

const DEFAULT_COUNT = 10;
const MOST = 1000;
const LONGEST_INSTRUCTION = 15;
const EFER_LMA = 1n << 10n;
const ATTRIBUTE_LONG = 0x2000n;
const ATTRIBUTE_BIG = 0x4000n;

export const disassembleCommand = defineMonitorCommand({
  name: 'disassemble',
  syntax: 'disassemble [ADDRESS [COUNT]]',
  access: 'look',
  summary: 'instructions as the machine decodes them, in the width of the present code segment',
  help: [
    `Without arguments ${DEFAULT_COUNT} instructions from rip on; ADDRESS is a number, a symbol or a`,
    "$register. gdb's own x/i always takes 64-bit code; this follows CS, so boot code in 16 or 32",
    'bits reads right. `(bad)` is what the CPU answers with #UD.',
  ].join('\n'),
  sample: [
    '=> ffffffff801066db <sys_fork>    mov rax,rsp',
    '   ffffffff801066de <sys_fork+3>  pushf',
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 2);
    const [addressText, countText] = args;
    const start =
      addressText === undefined ? linearRip(context) : parseAddress(addressText, context);
    const count = countText === undefined ? DEFAULT_COUNT : parseCount(countText, 'COUNT');
    if (count > MOST) throw new MonitorError(`at most ${MOST} instructions are shown at once`);
    const lines = instructionLines(context, start, count);
    if (lines.length === 0) throw new MonitorError(`0x${hex16(start)} is not mapped to RAM`);
    return aligned(lines);
  },
});

interface Line {
  readonly place: string;
  readonly text: string;
}

function instructionLines(context: MonitorContext, start: bigint, count: number): Line[] {
  const lines: Line[] = [];
  const width = codeWidth(context);
  const rip = linearRip(context);
  for (let at = start; lines.length < count;) {
    const bytes = context.machine.readLinear(at, LONGEST_INSTRUCTION);
    const instruction = bytes.length === 0 ? undefined : disassemble(bytes, at, width);
    if (instruction === undefined) break;
    const { text, target, lengthBytes } = instruction;
    const symbol = context.symbols.describe(at);
    const place = `${at === rip ? '=>' : '  '} ${hex16(at)}${symbol === '' ? '' : ` <${symbol}>`}`;
    lines.push({ place, text: text + targetText(target, context) });
    at = BigInt.asUintN(64, at + BigInt(lengthBytes));
  }
  return lines;
}

function aligned(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ place }) => place.length));
  return lines.map(({ place, text }) => `${place.padEnd(width)}  ${text}`).join('\n');
}

function targetText(target: bigint | undefined, { symbols }: MonitorContext): string {
  const symbol = target === undefined ? '' : symbols.describe(target);
  return symbol === '' ? '' : ` <${symbol}>`;
}

/** One instruction with its place, for `why`. */
export function instructionAt(context: MonitorContext, linear: bigint): string | undefined {
  const bytes = context.machine.readLinear(linear, LONGEST_INSTRUCTION);
  if (bytes.length === 0) return undefined;
  const instruction = disassemble(bytes, linear, codeWidth(context));
  const hex = Array.from(bytes.subarray(0, instruction?.lengthBytes ?? bytes.length), (byte) =>
    byte.toString(16).padStart(2, '0'),
  );
  const text = instruction?.text ?? '(cut off by the end of the mapping)';
  return `${addressWithSymbol(linear, context.symbols)}: ${text}  [${hex.join(' ')}]`;
}

function linearRip({ machine }: MonitorContext): bigint {
  return BigInt.asUintN(64, register(machine, 'cs_base') + register(machine, 'rip'));
}

function codeWidth({ machine }: MonitorContext): 16 | 32 | 64 {
  const attributes = register(machine, 'cs_attributes');
  const isLong = (register(machine, 'efer') & EFER_LMA) !== 0n;
  if (isLong && (attributes & ATTRIBUTE_LONG) !== 0n) return 64;
  return (attributes & ATTRIBUTE_BIG) !== 0n ? 32 : 16;
}
