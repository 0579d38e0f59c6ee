/** Skeleton: the table that generated code calls into. */
import type { GuestFault } from '../guest-fault.ts';
import type { HostOperation } from '../instructions/host-operations.ts';
import type { Cpu } from './cpu.ts';

/** Arguments in state.host0–host3, results in host0 and host1. */
export type HostFunction = (cpu: Cpu) => GuestFault | undefined;

export declare const HOST_FUNCTIONS: Readonly<Record<HostOperation, HostFunction>>;
