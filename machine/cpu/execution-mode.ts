/** Which ExecutionMode the CPU is in (instructions/execution-mode.ts), and a small number for it. */
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import { WORD, type CpuState } from '../state/fields.ts';
import { SEGMENT_BIG, SEGMENT_LONG } from './segment-attributes.ts';

const CR0_EM = 1 << 2;
const CR0_TS = 1 << 3;
const CR4_OSFXSR = 1 << 9;
const EFER_LMA = 1 << 10;

const WIDTHS = [16, 32, 64] as const;
const SSE = ['enabled', 'not-available', 'undefined'] as const;

/*
 * The key: bits 0–1 code width, 2–3 stack width (both indexes into WIDTHS), 4 long mode, 5–6 CPL,
 * 7–8 SSE, 9 x87 not available.
 */

/** 0 to MODE_KEYS − 1; equal keys are equal modes. */
export function currentModeKey({ words }: CpuState): number {
  const isLongMode = (words[WORD.efer]! & EFER_LMA) !== 0;
  const isCode64 = isLongMode && (words[WORD.csAttributes]! & SEGMENT_LONG) !== 0;
  const code = isCode64 ? 2 : (words[WORD.csAttributes]! & SEGMENT_BIG) !== 0 ? 1 : 0;
  const stack = isCode64 ? 2 : (words[WORD.ssAttributes]! & SEGMENT_BIG) !== 0 ? 1 : 0;
  const cr0 = words[WORD.cr0]!;
  const isSseUndefined = (cr0 & CR0_EM) !== 0 || (words[WORD.cr4]! & CR4_OSFXSR) === 0;
  const sse = isSseUndefined ? 2 : (cr0 & CR0_TS) !== 0 ? 1 : 0;
  const x87 = (cr0 & (CR0_EM | CR0_TS)) === 0 ? 0 : 1;
  const cpl = words[WORD.cpl]!;
  return code | (stack << 2) | ((isLongMode ? 1 : 0) << 4) | (cpl << 5) | (sse << 7) | (x87 << 9);
}

export const MODE_KEYS = 1024;

/** The mode that a key of `currentModeKey` stands for. A new object at each call. */
export function modeOfKey(key: number): ExecutionMode {
  return {
    codeWidth: WIDTHS[key & 3] ?? 16,
    stackWidth: WIDTHS[(key >>> 2) & 3] ?? 16,
    longMode: (key & 16) !== 0,
    cpl: ((key >>> 5) & 3) as 0 | 1 | 2 | 3,
    sse: SSE[(key >>> 7) & 3] ?? 'undefined',
    x87: (key & 512) === 0 ? 'enabled' : 'not-available',
  };
}

export function currentMode(state: CpuState): ExecutionMode {
  return modeOfKey(currentModeKey(state));
}
