/**
 * The tracepoint that is there before anybody attaches: on the kernel's fork function, with all
 * registers and enough of the stack for `bt`, so that gdb's `tfind` shows the forks since boot.
 */
import type { KernelAwareness } from '../../awareness/awareness.ts';
import type { TracepointDescription } from '../target.ts';
import { REGISTERS } from '../register-table.ts';

const NUMBER = 1;
const STACK_BYTES = 1024;
const RSP = REGISTERS.findIndex(({ name }) => name === 'rsp');
/** reg rsp, const16 length, trace, end. */
const COLLECT_STACK = Uint8Array.of(0x26, 0, RSP, 0x23, STACK_BYTES >> 8, STACK_BYTES & 0xff, 0x0c, 0x27); // prettier-ignore

/** Undefined: no kernel that is known, or none that forks. */
export function forkTracepoint(
  kernel: KernelAwareness | undefined,
): TracepointDescription | undefined {
  const point = kernel?.forkEntryPoints.find(({ kind }) => kind === 'fork');
  if (point === undefined) return undefined;
  const { address } = point;
  return {
    definition: { number: NUMBER, address, isEnabled: true, stepCount: 0, passCount: 0 },
    actions: [
      { kind: 'registers', mask: (1n << BigInt(REGISTERS.length)) - 1n },
      { kind: 'expression', bytecode: COLLECT_STACK },
    ],
    sources: [
      // By its address: a name would need symbols, and gdb would skip what it takes for a prologue.
      { type: 'at', text: `*0x${address.toString(16)}` },
      { type: 'cmd', text: `collect $regs, *(unsigned char (*)[${STACK_BYTES}])$rsp` },
    ],
  };
}
