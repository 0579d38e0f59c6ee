/**
 * The code that regions become, as text, so that a reviewer sees what a change does to it.
 * `npx vitest run test/machine/block-engine/golden.test.ts -u` writes the files anew.
 */
import { describe, expect, it } from 'vitest';
import { ControlFlow } from '../../../machine/block-engine/control-flow.ts';
import { emitRegion } from '../../../machine/block-engine/region-compiler.ts';
import { instructionLimit, planRegion } from '../../../machine/block-engine/region-plan.ts';
import { modeOfKey } from '../../../machine/cpu/execution-mode.ts';
import { CodeCache } from '../../../machine/translation/code-cache.ts';
import { RecordArena } from '../../../machine/translation/record.ts';
import { functionText } from './wat.ts';

const MEMORY_PAGES = 0x200_0000 / 65536;
const RIP = 0x1000n;
/** 64-bit code of level 0 with SSE. */
const MODE_KEY = 2 | (2 << 2) | (1 << 4);

interface Program {
  readonly name: string;
  /** Each part is decoded as one run; control enters at its beginning. */
  readonly parts: readonly (readonly number[])[];
  readonly stops?: readonly number[];
}

const PROGRAMS: readonly Program[] = [
  // add rax, rbx; sub ecx, 1; jnz to the add
  { name: 'loop', parts: [[0x48, 0x01, 0xd8, 0x83, 0xe9, 0x01, 0x75, 0xf8, 0xf4]] },
  // cmp rax, rbx; jl +3; add rcx, rdx; hlt
  { name: 'compare-signed', parts: [[0x48, 0x39, 0xd8, 0x7c, 0x03, 0x48, 0x01, 0xd1, 0xf4]] },
  // cmp eax, ebx; jbe; setb cl; hlt
  { name: 'compare-unsigned', parts: [[0x39, 0xd8, 0x76, 0x03, 0x0f, 0x92, 0xc1, 0xf4]] },
  // test al, al; js; inc bl; hlt
  { name: 'test-sign', parts: [[0x84, 0xc0, 0x78, 0x02, 0xfe, 0xc3, 0xf4]] },
  // mov rax, [rbx + rcx * 8 + 16]; hlt
  { name: 'load', parts: [[0x48, 0x8b, 0x44, 0xcb, 0x10, 0xf4]] },
  // add [rdi], eax; hlt
  { name: 'read-modify-write', parts: [[0x01, 0x07, 0xf4]] },
  // mov ah, bl; mov ax, cx; hlt
  { name: 'partial-registers', parts: [[0x88, 0xdc, 0x66, 0x89, 0xc8, 0xf4]] },
  // shl eax, 3; adc ecx, 0; hlt
  { name: 'shift-by-constant', parts: [[0xc1, 0xe0, 0x03, 0x83, 0xd1, 0x00, 0xf4]] },
  // shl rax, cl; jc over inc; hlt
  { name: 'shift-by-cl', parts: [[0x48, 0xd3, 0xe0, 0x72, 0x02, 0xff, 0xc0, 0xf4]] },
  // push rbp; mov rbp, rsp; call +1; hlt; ret
  { name: 'call-and-return', parts: [[0x55, 0x48, 0x89, 0xe5, 0xe8, 1, 0, 0, 0, 0xf4, 0xc3], [0xc3]] }, // prettier-ignore
  // outer: mov ecx, 9; inner: add eax, ecx; dec ecx; jnz inner; dec edx; jnz outer; hlt
  { name: 'nested-loops', parts: [[0xb9, 9, 0, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xff, 0xca, 0x75, 0xf1, 0xf4]] }, // prettier-ignore
  // mov ecx, [rsi]; sub rsi, 4; cmp edx, ecx; jb to the mov: flags are only seen when the load leaves
  { name: 'load-in-loop', parts: [[0x8b, 0x0e, 0x48, 0x83, 0xee, 0x04, 0x39, 0xca, 0x72, 0xf6, 0xf4]] }, // prettier-ignore
  // A loop with a breakpoint on its second instruction.
  { name: 'breakpoint', parts: [[0xff, 0xc0, 0xff, 0xc1, 0xeb, 0xfa]], stops: [2] },
  // movdqu xmm0, [rax]; pxor xmm0, xmm1; movd [rax], xmm0; hlt
  { name: 'vector', parts: [[0xf3, 0x0f, 0x6f, 0x00, 0x66, 0x0f, 0xef, 0xc1, 0x66, 0x0f, 0x7e, 0x00, 0xf4]] }, // prettier-ignore
];

function compiledText({ parts, stops = [] }: Program): string {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
  const arena = new RecordArena(memory);
  const bytes = new Uint8Array(4096).fill(0xf4);
  const flows = new ControlFlow();
  const cache = new CodeCache({
    arena,
    handlers: {
      handlerFor: (decoded) => {
        const flow = flows.of(decoded);
        return { index: 2000, goesOn: flow === 'next' || flow === 'branch' };
      },
      isFull: false,
      clear: () => undefined,
      compile: () => undefined,
    },
    pageBytes: () => bytes,
    markCodePage: () => undefined,
  });
  const mode = modeOfKey(MODE_KEY);
  const location = { rip: RIP, linear: RIP, physicalPage: 1, modeKey: MODE_KEY, mode };
  let start = 0;
  const starts = parts.map((part) => {
    bytes.set(part, start);
    return (start += part.length) - part.length;
  });
  for (const offset of starts) {
    const rip = RIP + BigInt(offset);
    cache.decodeRun({ ...location, rip, linear: rip }, undefined);
  }
  const page = cache.pageAt(location)!;
  const plan = planRegion({
    page,
    bytes,
    mode,
    arena,
    flows,
    seeds: starts,
    excluded: new Set(),
    isStop: (offset) => stops.includes(offset),
    known: new Map(),
    instructionLimit: instructionLimit(Infinity),
  });
  return functionText(emitRegion(plan!, 16, MEMORY_PAGES).bytes);
}

describe('the code of', () => {
  for (const program of PROGRAMS) {
    it(`${program.name} is what was reviewed`, async () => {
      await expect(`${compiledText(program)}\n`).toMatchFileSnapshot(`golden/${program.name}.wat`);
    });
  }
});
