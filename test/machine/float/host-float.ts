/** Runs the host's floating-point operations as generated code does: through the CPU state. */
import { FLOAT_HOST_OPERATIONS } from '../../../machine/cpu/float/host-operations.ts';
import { cpuStateOver, type CpuState } from '../../../machine/state/fields.ts';
import type { FloatCase, FloatOutcome } from './native-float.ts';

/** Whether operands are 128 bits: the mnemonic ends in ps or pd, or converts packed integers. */
export function isPacked({ operation }: FloatCase): boolean {
  return !/(s[sd]|si)$/.test(operation);
}

const WHOLE = 64n;

export class FloatHost {
  readonly state: CpuState;

  constructor() {
    this.state = cpuStateOver(new WebAssembly.Memory({ initial: 1 }));
    this.state.cr4 = 1n << 10n;
  }

  run(test: FloatCase): FloatOutcome {
    const { left, right, mxcsr } = test;
    const halves = isPacked(test)
      ? [left, left >> WHOLE, right, right >> WHOLE]
      : [left, right, 0n, 0n];
    const [host0, host1, host2, host3] = halves.map((half) => BigInt.asUintN(64, half));
    Object.assign(this.state, { host0, host1, host2, host3, mxcsr });
    const fault = FLOAT_HOST_OPERATIONS[test.operation](this.state);
    const high = isPacked(test) ? this.state.host1 : 0n;
    const result = this.state.host0 | (high << WHOLE);
    return { result, mxcsr: this.state.mxcsr, hasFaulted: fault?.vector === 19 };
  }
}
