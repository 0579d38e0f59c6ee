/**
 * Runs SSE forms on this computer's CPU: a C program with one block of machine code for each form,
 * compiled when the tests run. SIGFPE stands for #XM.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SSE_FORMS } from './sse-forms.ts';
import { ARITHMETIC_FLAGS, type SseCase, type SseState } from './sse-state.ts';

const RECORD_BYTES = 96;

function block(code: readonly number[], index: number): string {
  const bytes = code.map((byte) => `0x${byte.toString(16)}`).join();
  return `case ${index}: RUN(".byte ${bytes}"); break;`;
}

const SOURCE = `
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>
#include <emmintrin.h>
struct record {
  __m128i xmm1, xmm2, memory;
  uint64_t rcx, rdx, form;
  uint32_t mxcsr, flags, faulted, unused[3];
};
static struct record in, out;
static sigjmp_buf back;
static uint32_t faulted_mxcsr;
static const uint32_t plain = 0x1f80;
static void on_fault(int number, siginfo_t *info, void *context) {
  faulted_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(back, 1);
}
#define RUN(code) asm volatile( \\
  "movdqa %[x1], %%xmm1; movdqa %[x2], %%xmm2; movq %[c], %%rcx; movq %[d], %%rdx;" \\
  "leaq %[m], %%rdi; ldmxcsr %[s]; pushq %[f]; popfq;" code ";" \\
  "pushfq; popq %%rax; movl %%eax, %[f]; stmxcsr %[s]; ldmxcsr %[p];" \\
  "movdqa %%xmm1, %[x1]; movdqa %%xmm2, %[x2]; movq %%rcx, %[c]; movq %%rdx, %[d]" \\
  : [x1] "+m"(out.xmm1), [x2] "+m"(out.xmm2), [m] "+m"(out.memory), [c] "+m"(out.rcx), \\
    [d] "+m"(out.rdx), [s] "+m"(out.mxcsr), [f] "+m"(out.flags) : [p] "m"(plain) \\
  : "rax", "rcx", "rdx", "rdi", "xmm1", "xmm2", "cc", "memory")
static void execute(void) {
  switch (in.form) {
${SSE_FORMS.map((form, index) => block(form.code, index)).join('\n')}
  }
}
int main(void) {
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
  sigaction(SIGFPE, &action, 0);
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    out = in;
    if (sigsetjmp(back, 0) == 0) {
      execute();
    } else {
      out = in;
      out.mxcsr = faulted_mxcsr;
      out.faulted = 1;
    }
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
`;

function writeCases(cases: readonly SseCase[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(cases.length * RECORD_BYTES));
  cases.forEach(({ form, before }, index) => {
    const at = index * RECORD_BYTES;
    [before.xmm1, before.xmm2, before.memory].forEach((value, place) => {
      view.setBigUint64(at + place * 16, BigInt.asUintN(64, value), true);
      view.setBigUint64(at + place * 16 + 8, value >> 64n, true);
    });
    [before.rcx, before.rdx, BigInt(form)].forEach((value, place) =>
      view.setBigUint64(at + 48 + place * 8, value, true),
    );
    view.setUint32(at + 72, before.mxcsr, true);
    view.setUint32(at + 76, before.flags | 0x202, true);
  });
  return new Uint8Array(view.buffer);
}

function readOutcomes(bytes: Uint8Array): SseState[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = (at: number): bigint =>
    view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n);
  return Array.from({ length: bytes.byteLength / RECORD_BYTES }, (_, index) => {
    const at = index * RECORD_BYTES;
    return {
      xmm1: wide(at),
      xmm2: wide(at + 16),
      memory: wide(at + 32),
      rcx: view.getBigUint64(at + 48, true),
      rdx: view.getBigUint64(at + 56, true),
      mxcsr: view.getUint32(at + 72, true),
      flags: view.getUint32(at + 76, true) & ARITHMETIC_FLAGS,
      hasFaulted: view.getUint32(at + 80, true) !== 0,
    };
  });
}

/** What this computer's CPU makes of the cases, in their order. Needs gcc on x86-64. */
export function runSseNatively(cases: readonly SseCase[]): SseState[] {
  const folder = mkdtempSync(join(tmpdir(), 'exoscope-sse-'));
  try {
    const source = join(folder, 'sse.c');
    const program = join(folder, 'sse');
    writeFileSync(source, SOURCE);
    execFileSync('gcc', ['-O1', '-msse2', '-mno-red-zone', '-o', program, source]);
    const maxBuffer = cases.length * RECORD_BYTES + 4096;
    return readOutcomes(execFileSync(program, { input: writeCases(cases), maxBuffer }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
