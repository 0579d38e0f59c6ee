/**
 * One monitor command as one object: what it is called, what it needs, and what it says. Help is
 * made from these; a new command is one file with one of them and one line in `index.ts`.
 */
import type { MachineControl, MachineView, TripleFaultReport } from '../../machine/index.ts';
import type { Forks } from '../awareness/fork-journal.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { ConditionalStops } from '../target/conditional-stops.ts';
import type { KeptStates } from '../target/kept-states.ts';
import type { ExceptionCatches } from '../target/exception-catches.ts';
import type { MonitorAccess } from '../target/target.ts';

/** What commands may use. */
export interface MonitorContext {
  readonly machine: MachineView & Pick<MachineControl, 'describeDevices' | 'serialHistory'>;
  readonly guest: GuestView;
  /** Absent: the image is not a kernel that the server knows. */
  readonly forks: Forks | undefined;
  readonly symbols: SymbolTable;
  /** The guest's tid of the thread that the debugger has selected. */
  readonly selectedTid: number;
  /** The exceptions of the present stop, if a triple fault or a caught exception made it. */
  readonly fault?: () => FaultRecord | undefined;
  /** What the present stop was told with, where a debugger that attaches later has not heard it. */
  readonly stopMessage?: () => string | undefined;
  /** The exceptions that stop the machine before they are delivered. */
  readonly catches?: ExceptionCatches;
  readonly conditionalStops?: ConditionalStops;
  /** Whether the debugger has the guest's processes; absent: the server does not know them. */
  readonly processes?: { isWanted: boolean; readonly isActive: boolean };
  /** The moments that can be gone back to; absent where the machine cannot be saved. */
  readonly states?: Pick<KeptStates, 'list' | 'save' | 'load' | 'drop'>;
  /** Power cycle; a running machine goes on running. */
  reset(): void;
  /** Ends the server, when called; absent where that is not offered. */
  readonly quit?: () => void;
}

/** What `why` explains; the machine still is in the state in which it happened. */
export interface FaultRecord extends TripleFaultReport {
  /** `caught`: stopped before the last exception of the chain is delivered. */
  readonly kind: 'triple fault' | 'caught';
}

export interface MonitorCommand {
  /** One or two words, lower case. */
  readonly name: string;
  /** The command with its arguments, e.g. `forks [N]`. */
  readonly syntax: string;
  readonly access: MonitorAccess;
  /** Without arguments it only lists: anybody may ask that. */
  readonly looksWithoutArguments?: true;
  /** One line for the list. */
  readonly summary: string;
  /** What the output means; complete sentences, lines up to 100 columns. */
  readonly help: string;
  /** What it prints, as it really prints it. */
  readonly sample: string;
  /** The answer without a final line feed; throws `MonitorError` with one clear line. */
  run(context: MonitorContext, args: readonly string[]): string | MonitorAnswer;
}

export interface MonitorAnswer {
  readonly text: string;
  /** What must wait until the answer has left. */
  readonly afterReply?: () => void;
}

/** The user's mistake, or something that cannot be answered: one line. */
export class MonitorError extends Error {
  override readonly name = 'MonitorError';
}

export function defineMonitorCommand(command: MonitorCommand): MonitorCommand {
  return command;
}

/** Throws unless there are at most `most` arguments. */
export function expectArguments(
  command: { readonly syntax: string },
  args: readonly string[],
  most: number,
): void {
  if (args.length > most) throw new MonitorError(`too many arguments; usage: ${command.syntax}`);
}

/** A count from 1 on, decimal. */
export function parseCount(text: string, what: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new MonitorError(`${what} must be a number from 1 on, not "${text}"`);
  }
  return Number(text);
}

/** What names of addresses are looked up in. */
export interface AddressContext {
  readonly machine: Pick<MachineView, 'readRegister'>;
  readonly symbols: SymbolTable;
}

/**
 * An address: `0x` hexadecimal, decimal, a symbol, `$register`, or one of the latter with +N or -N.
 */
export function parseAddress(text: string, context: AddressContext): bigint {
  const match = /^(.+?)(?:([+-])(0x[0-9a-f]+|\d+))?$/i.exec(text);
  const base = match === null ? undefined : addressBase(match[1]!, context);
  if (match === null || base === undefined) {
    throw new MonitorError(`"${text}" is not an address, a symbol or a $register`);
  }
  const offset = match[3] === undefined ? 0n : BigInt(match[3]);
  return BigInt.asUintN(64, match[2] === '-' ? base - offset : base + offset);
}

function addressBase(text: string, { machine, symbols }: AddressContext): bigint | undefined {
  if (/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text)) return BigInt.asUintN(64, BigInt(text));
  if (text.startsWith('$')) return machine.readRegister(text.slice(1).toLowerCase());
  return symbols.find(text)?.address;
}
