/**
 * `why`: what led to a triple fault or a caught exception, link by link: what was accessed and what
 * the page tables said, then gate, code segment and stack of the handler, and where its entry failed
 * (Intel SDM 3A §4.7, 6.12-6.15). `why VECTOR` tries an exception out without raising it.
 */
import { exceptionName } from '../target/exception-text.ts';
import { addressWithSymbol } from './format.ts';
import { instructionAt } from './disassemble.ts';
import { causeLines } from './fault-cause.ts';
import { deliveryLines } from './fault-delivery.ts';
import {
  type FaultRecord,
  MonitorError,
  type MonitorContext,
  defineMonitorCommand,
  expectArguments,
} from './monitor-command.ts';
import { register } from './system-tables.ts';

export const whyCommand = defineMonitorCommand({
  name: 'why',
  syntax: 'why [VECTOR]',
  access: 'look',
  summary: 'explains a triple fault or a caught exception, link by link',
  help: [
    'After a triple fault or a caught exception: every exception with its cause (for a page fault the',
    "page walk), then what the IDT, the GDT, the TSS and the stack's page tables say about its handler.",
    'After a stop by break-if or watch-if: which condition held.',
    'With VECTOR: whether that exception could be delivered in the present state.',
  ].join('\n'),
  sample: [
    'triple fault in 0xffffffff80101e3d <probe+13>: mov QWORD PTR [rax],rbx  [48 89 18]',
    '',
    '1. #PF page fault, error code 0x2: a write by the kernel to 0x000000000000dead',
    '   PML4E 0x0000000000141000: 0x0000000000000000 not present',
    '   0x000000000000dead is not mapped: entry 0 of its PML4 is not present',
    '   handler: IDT gate 14 is not present: #NP',
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 1);
    const [text] = args;
    if (text !== undefined) return tryOut(text, context);
    const record = context.fault?.();
    if (record === undefined) {
      const message = context.stopMessage?.();
      if (message !== undefined) return message;
      throw new MonitorError(
        'nothing to explain: no triple fault or caught exception made this stop; `why VECTOR` asks about one',
      );
    }
    return [
      heading(record, context),
      ...record.chain.flatMap((_, link) => linkLines(record, link, context)),
    ].join('\n');
  },
});

function heading(record: FaultRecord, context: MonitorContext): string {
  const linear = BigInt.asUintN(64, register(context.machine, 'cs_base') + record.rip);
  const place = instructionAt(context, linear) ?? addressWithSymbol(linear, context.symbols);
  const what =
    record.kind === 'caught' ? 'stopped before the exception is delivered,' : record.kind;
  return `${what} in ${place}`;
}

function linkLines(record: FaultRecord, link: number, context: MonitorContext): string[] {
  const exception = record.chain[link]!;
  const next = record.chain[link + 1];
  const { vector, errorCode } = exception;
  const code = errorCode === undefined ? '' : `, error code 0x${errorCode.toString(16)}`;
  const [summary = '', ...details] = causeLines(exception, context);
  const isLast = next === undefined;
  // Of two exceptions that make a double fault the second has no delivery of its own.
  const isMerged = next?.vector === DOUBLE_FAULT && link > 0;
  const isShutdown = isLast && record.kind === 'triple fault';
  const handler =
    isMerged || isShutdown ? [mergedLine(isShutdown)] : deliveryLines(context, exception);
  const lines = [...details, ...handler].map((line) => `   ${line}`);
  return ['', `${link + 1}. ${exceptionName(vector)}${code}: ${summary}`, ...lines];
}

const DOUBLE_FAULT = 8;

function mergedLine(isShutdown: boolean): string {
  return isShutdown
    ? 'it came while the double fault was being delivered: the CPU shuts down'
    : 'it came while the exception before it was being delivered: both together are a double fault';
}

function tryOut(text: string, context: MonitorContext): string {
  const vector = /^(0x[0-9a-f]{1,2}|\d{1,3})$/i.test(text) ? Number(text) : 256;
  if (vector > 255) throw new MonitorError(`a vector is a number from 0 to 255, not "${text}"`);
  const name = vector < 32 ? exceptionName(vector) : `vector ${vector}`;
  const lines = deliveryLines(context, { vector });
  return [`${name}, if it were raised now:`, ...lines.map((line) => `   ${line}`)].join('\n');
}
