/**
 * The floating-point operations as this computer's own CPU computes them: a small C program, made
 * from the list of operations and compiled when the tests run, executes each instruction under a
 * given MXCSR and catches SIGFPE.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  FLOAT_OPERATIONS,
  type FloatOperation,
} from '../../../machine/instructions/float-operations.ts';

/** One execution: operands of 128 bits, of which scalars take the low part. */
export interface FloatCase {
  readonly operation: FloatOperation;
  readonly mxcsr: number;
  readonly left: bigint;
  readonly right: bigint;
}

export interface FloatOutcome {
  readonly result: bigint;
  readonly mxcsr: number;
  readonly hasFaulted: boolean;
}

const RECORD_BYTES = 48;
const OUTCOME_BYTES = 32;

/** The instruction between LDMXCSR and STMXCSR; operands x0 (left and result), x1, integer a. */
function assembly(operation: FloatOperation): string {
  if (operation.startsWith('cvtsi2')) return `${operation}q %[a], %[x0]`;
  if (/^cvtt?s[sd]2si$/.test(operation)) return `${operation} %[x0], %q[a]`;
  if (operation.includes('comis')) return `${operation} %[x1], %[x0]; lahf; movzbl %%ah, %k[a]`;
  if (/^(cvt|sqrt)/.test(operation)) return `${operation} %[x0], %[x0]`;
  return `${operation} %[x1], %[x0]`;
}

function isIntegerResult(operation: FloatOperation): boolean {
  return operation.includes('comis') || /^cvtt?s[sd]2si$/.test(operation);
}

function cCase(operation: FloatOperation, index: number): string {
  const run = (text: string): string =>
    `asm volatile("ldmxcsr %[m]; ${text}; stmxcsr %[m]; ldmxcsr %[d]"` +
    ` : [x0] "+x"(x0), [a] "+r"(a), [m] "+m"(m) : [x1] "x"(x1), [d] "m"(plain) : "rax", "cc");`;
  const text = assembly(operation);
  const narrow = text.includes('%q[a]')
    ? `if (width == 32) { ${run(text.replace('%q', '%k'))} } else`
    : '';
  const result = isIntegerResult(operation) ? 'x0 = _mm_set_epi64x(0, a);' : '';
  return `case ${index}: ${narrow} { ${run(text)} } ${result} break;`;
}

const SOURCE = `
#include <emmintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
static sigjmp_buf back;
static uint32_t faulted_mxcsr;
static const uint32_t plain = 0x1f80;
static void on_fault(int number, siginfo_t *info, void *context) {
  faulted_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(back, 1);
}
static void execute(uint64_t index, uint32_t mxcsr, __m128i *left, __m128i right, uint32_t *after) {
  register __m128i x0 asm("xmm0") = *left, x1 asm("xmm1") = right;
  uint64_t a = _mm_cvtsi128_si64(x0), width = _mm_cvtsi128_si64(x1);
  uint32_t m = mxcsr;
  switch (index) {
${FLOAT_OPERATIONS.map(cCase).join('\n')}
  }
  *left = x0;
  *after = m;
}
int main(void) {
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
  sigaction(SIGFPE, &action, 0);
  struct { uint64_t index, mxcsr; __m128i left, right; } in;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    static struct { __m128i result; uint32_t mxcsr, faulted, unused[2]; } out;
    memset(&out, 0, sizeof out);
    out.result = in.left;
    if (sigsetjmp(back, 0) == 0) {
      execute(in.index, in.mxcsr, &out.result, in.right, &out.mxcsr);
    } else {
      out.mxcsr = faulted_mxcsr;
      out.faulted = 1;
    }
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
`;

function writeCases(cases: readonly FloatCase[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(cases.length * RECORD_BYTES));
  cases.forEach(({ operation, mxcsr, left, right }, index) => {
    const at = index * RECORD_BYTES;
    view.setBigUint64(at, BigInt(FLOAT_OPERATIONS.indexOf(operation)), true);
    view.setBigUint64(at + 8, BigInt(mxcsr), true);
    [left, left >> 64n, right, right >> 64n].forEach((part, place) =>
      view.setBigUint64(at + 16 + place * 8, BigInt.asUintN(64, part), true),
    );
  });
  return new Uint8Array(view.buffer);
}

function readOutcomes(bytes: Uint8Array): FloatOutcome[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / OUTCOME_BYTES }, (_, index) => {
    const at = index * OUTCOME_BYTES;
    return {
      result: view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n),
      mxcsr: view.getUint32(at + 16, true),
      hasFaulted: view.getUint32(at + 20, true) !== 0,
    };
  });
}

/** What this computer's CPU makes of the cases, in their order. Needs gcc on x86-64. */
export function runNatively(cases: readonly FloatCase[]): FloatOutcome[] {
  const folder = mkdtempSync(join(tmpdir(), 'exoscope-float-'));
  try {
    const source = join(folder, 'float.c');
    const program = join(folder, 'float');
    writeFileSync(source, SOURCE);
    execFileSync('gcc', ['-O1', '-msse2', '-o', program, source]);
    const maxBuffer = cases.length * OUTCOME_BYTES + 4096;
    return readOutcomes(execFileSync(program, { input: writeCases(cases), maxBuffer }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
