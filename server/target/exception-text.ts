/**
 * A triple fault in words: which exceptions led there, where, and why.
 */
import type { TripleFaultReport } from '../../machine/index.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';

/** Intel SDM 3A table 6-1. */
const EXCEPTION_NAMES = (
  '#DE divide error|#DB debug|NMI|#BP breakpoint|#OF overflow|#BR bound range|#UD invalid opcode|' +
  '#NM device not available|#DF double fault|coprocessor overrun|#TS invalid TSS|' +
  '#NP segment not present|#SS stack fault|#GP general protection|#PF page fault|reserved|' +
  '#MF x87 error|#AC alignment check|#MC machine check|#XM SIMD error|#VE virtualization|' +
  '#CP control protection'
).split('|');

export function exceptionName(vector: number): string {
  return EXCEPTION_NAMES[vector] ?? `vector ${vector}`;
}

/** Lines: a summary first, then the chain of exceptions. */
export function describeTripleFault(report: TripleFaultReport, symbols: SymbolTable): string[] {
  const { chain, rip, rsp, cr2, cr3 } = report;
  const symbol = symbols.describe(rip);
  const place = symbol === '' ? hex(rip) : `${hex(rip)} <${symbol}>`;
  const steps = chain.map(({ vector, errorCode }) => {
    const error = errorCode === undefined ? '' : `, error code ${hex(BigInt(errorCode))}`;
    return `  ${exceptionName(vector)} (vector ${vector}${error})`;
  });
  return [
    `triple fault at rip ${place}, cr2 ${hex(cr2)}`,
    `exceptions, first first (rsp ${hex(rsp)}, cr3 ${hex(cr3)}):`,
    ...steps,
    'the machine is halted in the state before the last delivery',
  ];
}

/** gdb's signal numbers for exceptions, as Linux has them; SIGSEGV for the rest. */
const SIGNALS: Readonly<Record<number, number>> = { 0: 8, 4: 11, 6: 4, 7: 8, 16: 8, 17: 10, 19: 8 };
const SIGSEGV = 11;

/** One line about an exception that is about to be delivered, and gdb's signal for it. */
export function describeCaught(
  { chain, rip }: TripleFaultReport,
  symbols: SymbolTable,
): { readonly text: string; readonly signal: number } {
  const { vector = 0, errorCode, address } = chain.at(-1) ?? {};
  const symbol = symbols.describe(rip);
  const place = symbol === '' ? hex(rip) : `${hex(rip)} <${symbol}>`;
  const error = errorCode === undefined ? '' : `, error code ${hex(BigInt(errorCode))}`;
  const linear = address === undefined ? '' : `, address ${hex(address)}`;
  const text = `${exceptionName(vector)} at rip ${place}${error}${linear}`;
  return { text, signal: SIGNALS[vector] ?? SIGSEGV };
}

/** `df`, `gp`, …: the mnemonic of the manual without its #, in lower case. */
export function exceptionShortName(vector: number): string {
  return /^#(\w+)/.exec(exceptionName(vector))?.[1]?.toLowerCase() ?? String(vector);
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
