/**
 * Where an Exo kernel forks, executes and ends processes, by its symbols
 * (kernel/src/syscall/handlers/process.c, kernel/src/scheduler/process/process.c):
 *
 *     sys_fork, sys_vfork   behind their call of fork_captured: rax is the child's pid or -errno
 *     thread_wait           a vfork's parent: edi is the reason, esi the child's pid
 *     enter_user_mode       the end of execve: rdi is the frame with the program's first rip
 *     process_terminate     rdi is the process, esi its wait status
 *
 * Behind the call in sys_fork the child is on the lists and has not run: a system call is not preempted
 * before it waits. Later, where the parent is back in its own code, the child may have ended.
 */
import { type ElfFile, readLoaded } from '../../symbols/elf-file.ts';
import type { SymbolTable } from '../../symbols/symbol-table.ts';
import type { ProcessEvent, ProcessEventPoint } from '../awareness.ts';
import { readExactly, readU64, type Walk } from '../walk.ts';
import type { ExoDescriptor } from './descriptor.ts';

type Registers = (name: string) => bigint;

/** `add $56, %rsp; ret`: how sys_fork and sys_vfork go on behind the call. */
const BEHIND_THE_CALL = Buffer.from('4883c438c3', 'hex');
const MOST_FUNCTION_BYTES = 256;
/** In EXO_TRAP_FRAME_FIELDS (kernel/include/exo_debug.h). */
const FRAME_RIP_OFFSET = 17n * 8n;

/** None where a symbol is missing: half of the events would be worse than no events. */
export function processEventPoints(
  file: ElfFile,
  symbols: SymbolTable,
  { process, waitReasons }: Pick<ExoDescriptor, 'process' | 'waitReasons'>,
): ProcessEventPoint[] {
  const vforkReason = waitReasons.indexOf('vfork');
  const points = [
    point(behindTheCall(file, symbols, 'sys_fork'), forked),
    point(behindTheCall(file, symbols, 'sys_vfork'), vforkReturns),
    point(symbols.find('thread_wait')?.address, (register) => vforked(register, vforkReason)),
    point(symbols.find('enter_user_mode')?.address, executed),
    point(symbols.find('process_terminate')?.address, (register) =>
      ended(register, process.pid_offset),
    ),
  ];
  const known = points.filter((found) => found !== undefined);
  return known.length === points.length && vforkReason > 0 ? known : [];
}

function point(
  address: bigint | undefined,
  event: ProcessEventPoint['event'],
): ProcessEventPoint | undefined {
  return address === undefined ? undefined : { address, event };
}

function behindTheCall(file: ElfFile, symbols: SymbolTable, name: string): bigint | undefined {
  const symbol = symbols.find(name);
  if (symbol === undefined) return undefined;
  const lengthBytes = Math.min(Number(symbol.size), MOST_FUNCTION_BYTES);
  const offset = Buffer.from(readLoaded(file, symbol.address, lengthBytes)).indexOf(
    BEHIND_THE_CALL,
  );
  return offset < 0 ? undefined : symbol.address + BigInt(offset);
}

function forked(register: Registers): Walk<ProcessEvent | undefined> {
  const result = BigInt.asIntN(64, register('rax'));
  return withoutReading(result > 0n ? { kind: 'fork', childPid: Number(result) } : undefined);
}

function vforkReturns(): Walk<ProcessEvent | undefined> {
  return withoutReading({ kind: 'vfork-done' });
}

function vforked(register: Registers, reason: number): Walk<ProcessEvent | undefined> {
  const isVfork = low32(register('rdi')) === reason;
  return withoutReading(isVfork ? { kind: 'vfork', childPid: low32(register('rsi')) } : undefined);
}

// eslint-disable-next-line require-yield
function* withoutReading(event: ProcessEvent | undefined): Walk<ProcessEvent | undefined> {
  return event;
}

function* executed(register: Registers): Walk<ProcessEvent | undefined> {
  const entry = yield* readU64(register('rdi') + FRAME_RIP_OFFSET);
  return entry === undefined ? undefined : { kind: 'exec', entry };
}

function* ended(register: Registers, pidOffset: number): Walk<ProcessEvent | undefined> {
  const view = yield* readExactly(register('rdi') + BigInt(pidOffset), 4);
  if (view === undefined) return undefined;
  return { kind: 'exit', pid: view.getUint32(0, true), waitStatus: low32(register('rsi')) };
}

function low32(value: bigint): number {
  return Number(BigInt.asUintN(32, value));
}
