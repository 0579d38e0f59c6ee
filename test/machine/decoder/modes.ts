/** Execution modes that decoder tests use. */
import type { ExecutionMode } from '../../../machine/instructions/execution-mode.ts';

const KERNEL = { cpl: 0, sse: 'enabled', x87: 'enabled' } as const;

export const MODE_64: ExecutionMode = { ...KERNEL, codeWidth: 64, stackWidth: 64, longMode: true };
export const MODE_32: ExecutionMode = { ...KERNEL, codeWidth: 32, stackWidth: 32, longMode: false };
export const MODE_16: ExecutionMode = { ...KERNEL, codeWidth: 16, stackWidth: 16, longMode: false };
