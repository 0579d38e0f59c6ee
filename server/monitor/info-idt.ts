/** `info idt`: the interrupt descriptor table, gate by gate (Intel SDM 3A §6.11, 6.14.1). */
import { exceptionName } from '../target/exception-text.ts';
import { address, addressWithSymbol, table } from './format.ts';
import {
  MonitorError,
  type MonitorContext,
  defineMonitorCommand,
  expectArguments,
} from './monitor-command.ts';
import { type Gate, isLongMode, readGate, register } from './system-tables.ts';

const HEADINGS = ['>vector', 'type', 'DPL', 'IST', 'selector', 'handler', 'exception'];
const LAST_VECTOR = 255;

export const infoIdtCommand = defineMonitorCommand({
  name: 'info idt',
  syntax: 'info idt [VECTOR]',
  access: 'look',
  summary: 'the interrupt descriptor table: gates with their handlers',
  help: [
    'Without VECTOR all gates that are not empty. A gate that is marked `not present` or has a type',
    'that the CPU refuses makes the exception another one: see `why`.',
  ].join('\n'),
  sample: [
    'IDT at 0xffffffff80129270, limit 0xfff, 256 gates',
    'vector  type       DPL  IST  selector  handler                                 exception',
    '    14  interrupt  0    0    0x08      0xffffffff80101c92 <interrupt_stub_14>  #PF page fault',
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 1);
    const [text] = args;
    const vectors = text === undefined ? allVectors() : [parseVector(text)];
    const gates = vectors.map((vector) => readGate(context.machine, vector));
    const shown = gates.filter((gate): gate is Gate => typeof gate === 'object');
    const filled = shown.filter(({ isEmpty }) => text !== undefined || !isEmpty);
    const heading = headingLine(context);
    if (filled.length === 0) {
      const why = gates[0] === 'unreadable' ? 'its memory is not mapped' : 'no gate is filled';
      return `${heading}\n${text === undefined ? why : `no gate ${text}`}`;
    }
    return `${heading}\n${table(
      HEADINGS,
      filled.map((gate) => gateRow(gate, context)),
    )}`;
  },
});

function headingLine({ machine }: MonitorContext): string {
  const limit = Number(register(machine, 'idtr_limit'));
  const count = Math.floor((limit + 1) / (isLongMode(machine) ? 16 : 8));
  const base = address(register(machine, 'idtr_base'));
  return `IDT at ${base}, limit 0x${limit.toString(16)}, ${Math.min(count, 256)} gates`;
}

function allVectors(): number[] {
  return Array.from({ length: LAST_VECTOR + 1 }, (_, vector) => vector);
}

function parseVector(text: string): number {
  const isNumber = /^(0x[0-9a-f]{1,2}|\d{1,3})$/i.test(text);
  if (!isNumber || Number(text) > LAST_VECTOR) {
    throw new MonitorError(`a vector is a number from 0 to ${LAST_VECTOR}, not "${text}"`);
  }
  return Number(text);
}

function gateRow(gate: Gate, { symbols }: MonitorContext): string[] {
  const type = typeof gate.type === 'number' ? `bad type ${gate.type}` : gate.type;
  return [
    String(gate.vector),
    gate.isPresent ? type : `${type}, not present`,
    String(gate.level),
    String(gate.stackTable),
    `0x${gate.selector.toString(16).padStart(2, '0')}`,
    addressWithSymbol(gate.offset, symbols),
    gate.vector < 32 ? exceptionName(gate.vector) : '',
  ];
}
