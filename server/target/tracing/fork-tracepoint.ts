/**
 * The tracepoint that is there before anybody attaches: on the kernel's fork function, with all
 * registers and enough of the stack for `bt`, so that gdb's `tfind` shows the forks since boot.
 */
import type { KernelAwareness } from '../../awareness/awareness.ts';
import type { TracepointDescription } from '../target.ts';
import type { RegisterSet } from '../register-set.ts';

const NUMBER = 1;
const STACK_BYTES = 1024;

/** Undefined: no kernel that is known, or none that forks. */
export function forkTracepoint(
  kernel: KernelAwareness | undefined,
  { registers, stackPointer }: RegisterSet,
): TracepointDescription | undefined {
  const point = kernel?.forkEntryPoints.find(({ kind }) => kind === 'fork');
  if (point === undefined) return undefined;
  const { address } = point;
  // reg rsp, const16 length, trace, end
  const length = [STACK_BYTES >> 8, STACK_BYTES & 0xff];
  const collectStack = Uint8Array.of(0x26, 0, stackPointer, 0x23, ...length, 0x0c, 0x27);
  return {
    definition: { number: NUMBER, address, isEnabled: true, stepCount: 0, passCount: 0 },
    actions: [
      { kind: 'registers', mask: (1n << BigInt(registers.length)) - 1n },
      { kind: 'expression', bytecode: collectStack },
    ],
    sources: [
      // By its address: a name would need symbols, and gdb would skip what it takes for a prologue.
      { type: 'at', text: `*0x${address.toString(16)}` },
      {
        type: 'cmd',
        text: `collect $regs, *(unsigned char (*)[${STACK_BYTES}])$${registers[stackPointer]!.name}`,
      },
    ],
  };
}
