/**
 * What lldb wants to hear with a stop (lldbgdbremote.md, "Stop reply packet extensions"): the reason,
 * all threads with their pcs, the registers and the stack that it would ask for next. With these it
 * needs one packet more at a stop that its user sees, `jThreadsInfo`, and none at one that its user
 * does not see, as when it steps over a line.
 */
import { bytesToHex, textToHex } from '../rsp/hex.ts';
import { whenKnown, type Awaitable } from '../target/awaitable.ts';
import type { RegisterValue, StopCause, TargetStop, TargetThread, ThreadNumber } from '../target/target.ts'; // prettier-ignore
import type { PacketContext } from './packet-context.ts';
import { forClient } from './registers.ts';

export type Halt = Extract<TargetStop, { kind: 'stopped' }>;

/** lldb reads memory in lines of this size, and takes from a stop what lies in one piece of it. */
const LINE_BYTES = 512;
/** The saved frame pointer and the return address above it. */
const FRAME_BYTES = 16;
/**
 * For a thread that waits: lldb unwinds its first frames, through what a switch or an interrupt has
 * saved (all general registers and what the CPU pushes: 176 bytes).
 */
const SMALL_FRAME_BYTES = 256;
/** Of more threads than this a stop tells only the pcs: lldb asks for what it wants. */
const MOST_THREADS = 32;
/** gdb's number; to lldb the signal of a stop that the user asked for. */
const SIGINT = 2;

/** A stop in lldb's words. */
export interface LldbReason {
  readonly signal: number;
  readonly reason: 'breakpoint' | 'trace' | 'exception' | 'watchpoint' | 'signal';
  /** What lldb prints instead of its own word for the reason. */
  readonly description?: string;
}

export function lldbReason({ cause, signal }: Halt): LldbReason {
  const foreign = 'foreign' in cause ? cause.foreign : undefined;
  // lldb knows no place for it, and takes an exception or any other signal for a crash: -b would end.
  if (foreign !== undefined) return { signal: SIGINT, reason: 'signal', ...foreign };
  switch (cause.kind) {
    case 'breakpoint':
      return { signal, reason: 'breakpoint' };
    case 'step':
    case 'no-resumed':
    case 'history-begin':
      return { signal, reason: 'trace' };
    case 'exception':
      return { signal, reason: 'exception', description: cause.description };
    case 'system-call':
      return { signal, reason: 'exception', description: systemCallText(cause) };
    case 'watchpoint':
      return { signal, reason: 'watchpoint', description: `${cause.address} 0` };
    // Of these forks and execs are told to gdb only.
    case 'interrupt':
    case 'reset':
    case 'fork':
    case 'vfork':
    case 'vfork-done':
    case 'exec':
      return { signal, reason: 'signal' };
  }
}

/** For clients without a word of their own for it. */
function systemCallText(cause: Extract<StopCause, { kind: 'system-call' }>): string {
  const { phase, number, name } = cause;
  const call = name === undefined ? `system call ${number}` : `system call ${name} (${number})`;
  return phase === 'entry' ? `call to ${call}` : `returned from ${call}`;
}

/** A thread as `jThreadsInfo` tells of it, numbers in decimal; `stop` may be of another thread. */
export async function threadInfo(
  context: PacketContext,
  thread: TargetThread,
  stop: Halt | undefined,
): Promise<object> {
  const isStopper = stop?.thread === thread.id;
  const registers = [
    ...(await expedited(context, thread.id)),
    ...(isStopper ? await generalRegisters(context, thread.id) : []),
  ];
  const values = registers.map(({ number, bytes }) => [String(number), bytesToHex(bytes)]);
  return {
    tid: thread.id,
    ...(thread.name === '' ? {} : { name: thread.name }),
    ...(isStopper ? lldbReason(stop) : {}),
    registers: Object.fromEntries(values) as Record<string, string>,
  };
}

/** The expedited registers as this client wants their pointers. */
export function expedited(
  context: PacketContext,
  thread: ThreadNumber,
): Awaitable<readonly RegisterValue[]> {
  return whenKnown(context.target.registers.expedited(thread), (values) => {
    if (!context.client.isLldb) return values;
    const each = values.map(async ({ number, bytes }) => ({
      number,
      bytes: await forClient(context, thread, bytes),
    }));
    return Promise.all(each);
  });
}

/** The fields of `thread` in a stop reply for lldb. */
export async function lldbStopFields(
  context: PacketContext,
  thread: TargetThread,
  threads: readonly TargetThread[],
  stop: Halt,
): Promise<string[]> {
  const isStopper = thread.id === stop.thread;
  return [
    ...(thread.name === '' ? [] : [`hexname:${textToHex(thread.name)}`]),
    ...(context.client.threadsInStopReply ? await threadCounters(context, threads) : []),
    ...(isStopper ? await stopperFields(context, threads, stop) : []),
  ];
}

async function threadCounters(
  { target: { registers } }: PacketContext,
  threads: readonly TargetThread[],
): Promise<string[]> {
  const counters: string[] = [];
  for (const { id } of threads) {
    const value = await registers.read(id, registers.programCounter);
    // Written as a number, most significant digit first, unlike the expedited registers.
    counters.push(value instanceof Uint8Array ? bytesToHex(Uint8Array.from(value).reverse()) : '0');
  }
  const ids = threads.map(({ id }) => id.toString(16));
  return [`threads:${ids.join(',')}`, `thread-pcs:${counters.join(',')}`];
}

async function stopperFields(
  context: PacketContext,
  threads: readonly TargetThread[],
  stop: Halt,
): Promise<string[]> {
  return [
    ...reasonFields(stop),
    ...(context.client.threadsInStopReply ? await otherThreads(context, threads, stop) : []),
    ...(await generalRegisters(context, stop.thread)).map(registerField),
    ...(await memoryFields(context, stop.thread, await stopperMemory(context, stop))),
  ];
}

/** A watchpoint is told by its `watch:` key, a signal by its number. */
function reasonFields(stop: Halt): string[] {
  const { reason, description } = lldbReason(stop);
  if (reason === 'watchpoint') return [];
  return [
    ...(reason === 'signal' ? [] : [`reason:${reason}`]),
    ...(description === undefined ? [] : [`description:${textToHex(description)}`]),
  ];
}

/**
 * What saves lldb a `qThreadStopInfo` for each thread and what it reads to unwind a frame of each: it does
 * so whenever all threads have run, and takes those that are not in this list for stopped without reason.
 */
async function otherThreads(
  context: PacketContext,
  threads: readonly TargetThread[],
  stop: Halt,
): Promise<string[]> {
  const isStepOfOne = stop.cause.kind === 'step';
  const told = threads
    .filter(({ id }) => id === stop.thread || !isStepOfOne)
    .slice(0, MOST_THREADS);
  const infos = await Promise.all(
    told.map(async (thread) =>
      thread.id === stop.thread
        ? { tid: thread.id, ...lldbReason(stop) }
        : threadInfo(context, thread, undefined),
    ),
  );
  const fields = [`jstopinfo:${textToHex(JSON.stringify(infos))}`];
  for (const { id } of told) {
    if (id === stop.thread) continue;
    const pieces = await framePieces(context, id, SMALL_FRAME_BYTES);
    fields.push(...(await memoryFields(context, stop.thread, pieces)));
  }
  return fields;
}

/** Those that a stop reply does not carry anyway. */
async function generalRegisters(
  context: PacketContext,
  thread: ThreadNumber,
): Promise<RegisterValue[]> {
  const { registers } = context.target;
  const values: RegisterValue[] = [];
  for (const number of registers.general ?? []) {
    const bytes = await forClient(context, thread, await registers.read(thread, number));
    if (bytes instanceof Uint8Array) values.push({ number, bytes });
  }
  return values;
}

/** `n:r` of a stop reply. */
export function registerField({ number, bytes }: RegisterValue): string {
  return `${number.toString(16).padStart(2, '0')}:${bytesToHex(bytes)}`;
}

interface Piece {
  readonly address: bigint;
  readonly lengthBytes: number;
}

/** As an `m` of this client would read it. */
async function memoryFields(
  context: PacketContext,
  thread: ThreadNumber,
  pieces: readonly Piece[],
): Promise<string[]> {
  // lldb would take physical memory for linear.
  if (context.client.physicalMemory) return [];
  const fields: string[] = [];
  for (const { address, lengthBytes } of pieces) {
    const bytes = await context.target.memory.read(thread, address, lengthBytes);
    if (bytes.length > 0) fields.push(`memory:0x${address.toString(16)}=${bytesToHex(bytes)}`);
  }
  return fields;
}

/** Around the stopped thread's frames, and what a watchpoint watches. */
async function stopperMemory(context: PacketContext, stop: Halt): Promise<Piece[]> {
  const pieces = await framePieces(context, stop.thread, 2 * LINE_BYTES);
  if (stop.cause.kind !== 'watchpoint') return pieces;
  return withPiece(pieces, alignedDown(stop.cause.address, LINE_BYTES), LINE_BYTES);
}

/** From the stack pointer up, and the frame that the frame pointer shows. */
async function framePieces(
  context: PacketContext,
  thread: ThreadNumber,
  stackBytes: number,
): Promise<Piece[]> {
  const { stackPointer, framePointer } = context.target.registers;
  const stack = await pointer(context, thread, stackPointer);
  const frame = await pointer(context, thread, framePointer);
  const top = withPiece([], stack && alignedDown(stack, 8), stackBytes);
  return withPiece(top, frame, FRAME_BYTES);
}

function withPiece(pieces: Piece[], address: bigint | undefined, lengthBytes: number): Piece[] {
  if (address === undefined) return pieces;
  const wanted = { address, lengthBytes };
  return pieces.some((piece) => isWithin(wanted, piece)) ? pieces : [...pieces, wanted];
}

function isWithin(inner: Piece, outer: Piece): boolean {
  const end = inner.address + BigInt(inner.lengthBytes);
  return inner.address >= outer.address && end <= outer.address + BigInt(outer.lengthBytes);
}

function alignedDown(address: bigint, to: number): bigint {
  return address - (address % BigInt(to));
}

async function pointer(
  context: PacketContext,
  thread: ThreadNumber,
  number: number | undefined,
): Promise<bigint | undefined> {
  if (number === undefined) return undefined;
  const read = await context.target.registers.read(thread, number);
  const bytes = await forClient(context, thread, read);
  return bytes instanceof Uint8Array && bytes.length === 8
    ? Buffer.from(bytes).readBigUInt64LE()
    : undefined;
}
