/**
 * Exceptions and interrupts from the moment they are known until the handler's first instruction:
 * double faults (Intel SDM 3A §6.15, table 6-5), triple faults, and the way in by IA-32e or legacy gates.
 */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { TripleFaultReport } from '../stop-reason.ts';
import type { Cpu } from './cpu.ts';
import { joinWaitingTraps } from './debug-registers.ts';
import { enterHandler32 } from './handler-entry-32.ts';
import { enterHandler64 } from './handler-entry-64.ts';
import type { HandlerEvent } from './handler-entry.ts';
import { isLongModeActive } from './segment-attributes.ts';

/** Faults whose handler returns to the instruction, so that RF is pushed set (§17.3.1.1). */
const RESUMING: ReadonlySet<number> = new Set([
  VECTOR.DE,
  VECTOR.BR,
  VECTOR.UD,
  VECTOR.NM,
  VECTOR.TS,
  VECTOR.NP,
  VECTOR.SS,
  VECTOR.GP,
  VECTOR.PF,
  VECTOR.MF,
  VECTOR.AC,
  VECTOR.XM,
]);

const CONTRIBUTORY: ReadonlySet<number> = new Set([
  VECTOR.DE,
  VECTOR.TS,
  VECTOR.NP,
  VECTOR.SS,
  VECTOR.GP,
]);

/**
 * Delivers an exception that an instruction raised. `rip` is what is pushed: the faulting
 * instruction's offset for a fault, the next one's for a trap (#DB of a single step). A report
 * means that the CPU has shut down, or that `isCaught` has held an exception back (`isHeldBack`); the
 * state is then that before the delivery, but for CR2 where a page fault came earlier in the chain.
 */
export function deliverException(
  cpu: Cpu,
  raised: GuestFault,
  rip: bigint,
  isCaught: (exception: GuestFault) => boolean = () => false,
): TripleFaultReport | undefined {
  const chain: GuestFault[] = [];
  for (let next: GuestFault | undefined = raised; next !== undefined;) {
    const last = chain.at(-1);
    chain.push(next);
    if (last?.vector === VECTOR.DF) return report(cpu, chain, rip);
    const isDouble = last !== undefined && makesDoubleFault(last.vector, next.vector);
    if (!isDouble && isCaught(next)) return report(cpu, chain, rip);
    if (next.address !== undefined) cpu.state.cr2 = next.address;
    if (isDouble) {
      next = fault(VECTOR.DF, 0);
      chain.push(next);
      if (isCaught(next)) return report(cpu, chain, rip);
    }
    next = enter(cpu, next, rip);
  }
  cpu.halted = false;
  return undefined;
}

/** A report that ends with an exception that could yet be delivered; a shutdown's ends behind #DF. */
export function isHeldBack({ chain }: TripleFaultReport): boolean {
  return chain.at(-2)?.vector !== VECTOR.DF;
}

/** Delivers an external interrupt or an NMI at the boundary before state.rip. */
export function deliverInterrupt(
  cpu: Cpu,
  vector: number,
  kind: 'external' | 'nmi',
): TripleFaultReport | undefined {
  const returnRip = cpu.state.rip;
  const number = kind === 'nmi' ? VECTOR.NMI : vector;
  const failed = enterHandler(cpu, {
    vector: number,
    errorCode: undefined,
    isSoftware: false,
    returnRip,
    resumes: false,
  });
  cpu.halted = false;
  return failed === undefined ? undefined : deliverException(cpu, failed, returnRip);
}

/**
 * INT n, INT3, INTO and INT1; state.rip is the next instruction's. A fault belongs to the
 * instruction. `isHardware` (INT1) skips the check of the gate's DPL. TF is off when the handler
 * begins, so that no single step follows (Intel SDM 3B §17.3.1.4).
 */
export function softwareInterrupt(
  cpu: Cpu,
  vector: number,
  isHardware: boolean,
): GuestFault | undefined {
  const failed = enterHandler(cpu, {
    vector,
    errorCode: undefined,
    isSoftware: !isHardware,
    returnRip: cpu.state.rip,
    resumes: false,
  });
  if (failed !== undefined) return failed;
  cpu.singleStepTrap = false;
  if (isHardware) joinWaitingTraps(cpu);
  return undefined;
}

function enter(cpu: Cpu, raised: GuestFault, rip: bigint): GuestFault | undefined {
  return enterHandler(cpu, {
    vector: raised.vector,
    errorCode: raised.errorCode,
    isSoftware: false,
    returnRip: rip,
    resumes: RESUMING.has(raised.vector),
  });
}

function enterHandler(cpu: Cpu, event: HandlerEvent): GuestFault | undefined {
  return isLongModeActive(cpu.state) ? enterHandler64(cpu, event) : enterHandler32(cpu, event);
}

/** Table 6-5: what a second exception, raised while the first is being delivered, amounts to. */
function makesDoubleFault(first: number, second: number): boolean {
  if (CONTRIBUTORY.has(first)) return CONTRIBUTORY.has(second);
  if (first === VECTOR.PF) return second === VECTOR.PF || CONTRIBUTORY.has(second);
  return false;
}

function report(cpu: Cpu, chain: readonly GuestFault[], rip: bigint): TripleFaultReport {
  const { rsp, cr2, cr3 } = cpu.state;
  return {
    chain: chain.map(({ vector, errorCode, address }) => ({
      vector,
      ...(errorCode === undefined ? {} : { errorCode }),
      ...(address === undefined ? {} : { address }),
    })),
    rip,
    rsp,
    cr2,
    cr3,
  };
}
