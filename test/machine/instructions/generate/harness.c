/*
 * Runs single instructions on the host's processor, in a user process, and says what each did.
 *
 * stdin:  the memory image of world.ts from PLACE.code on (WORLD bytes), then for each case
 *           u64 fields[FIELDS]     the state before, in the order of hardware-fields.ts
 *           u64 patches, and for each: u64 address, u64 length, bytes padded to eight;
 *             the one at rip is the instruction
 * stdout: for each case
 *           u64 status             0 ended, 1 not within 200 ms
 *           u64 fields[FIELDS]     the state after; `exception` is vector + 1, 0 if there was none
 *           u64 changes, and for each: u64 address, u64 length, bytes padded to eight
 *
 * A case begins with a return from a signal handler, which loads every register at once, and ends
 * with the next signal: code pages are filled with INT3, so that control which goes on traps, and a
 * fault is a signal by itself. The handler reads the registers, the exception's vector, its error
 * code and CR2 from the signal frame, and begins the next case. 32-bit code runs in the kernel's
 * compatibility segment; what only the kernel may do ends in #GP here.
 *
 * The case owns the FS base, on which the C library relies, while it runs: the handler is built
 * without stack protector and gives the base back before it calls anything.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { RIP = 16, RFLAGS, ES, CS, SS, DS, FS, GS, FS_BASE, GS_BASE, EXCEPTION, ERROR_CODE, CR2,
  MXCSR, XMM, FIELDS = XMM + 32 };
enum { FIRST = 0x20000, CODE_END = 0x22000, HOLE_1 = 0x22000, DATA = 0x30000, HOLE_2 = 0x34000,
  READ_ONLY = 0x35000, END = 0x36000, WORLD = END - FIRST };

static uint8_t *image, *before, *writable;
static uint64_t field[FIELDS], start, code_bytes;
static uint64_t host_fs_base;
static int in_case, late;

static void die(const char *what) { perror(what); _exit(1); }
static int take(void *to, size_t bytes) { return fread(to, 1, bytes, stdin) == bytes; }
static void give(const void *from, size_t bytes) { fwrite(from, 1, bytes, stdout); }
static void give64(uint64_t value) { give(&value, 8); }

static const int frame_slot[18] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
  REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP, REG_EFL };

static uint64_t read_segments(void) {
  uint16_t es, ds, fs, gs;
  __asm__ volatile("mov %%es, %0\n mov %%ds, %1\n mov %%fs, %2\n mov %%gs, %3"
    : "=r"(es), "=r"(ds), "=r"(fs), "=r"(gs));
  return es | (uint64_t)ds << 16 | (uint64_t)fs << 32 | (uint64_t)gs << 48;
}

/* Loading a selector changes the base, so bases come after. */
static void load_segments(uint16_t es, uint16_t ds, uint16_t fs, uint16_t gs) {
  __asm__ volatile("mov %0, %%es\n mov %1, %%ds\n mov %2, %%fs\n mov %3, %%gs"
    :: "r"(es), "r"(ds), "r"(fs), "r"(gs));
}

static uint64_t read_fs_base(void) { uint64_t b; __asm__ volatile("rdfsbase %0" : "=r"(b)); return b; }
static uint64_t read_gs_base(void) { uint64_t b; __asm__ volatile("rdgsbase %0" : "=r"(b)); return b; }
static void write_fs_base(uint64_t b) { __asm__ volatile("wrfsbase %0" :: "r"(b)); }
static void write_gs_base(uint64_t b) { __asm__ volatile("wrgsbase %0" :: "r"(b)); }

/* The extended area behind the 512 bytes says which parts of it are valid: SSE must be. */
static void declare_sse_valid(struct _libc_fpstate *fpu) {
  uint32_t *software = (uint32_t *)((uint8_t *)fpu + 464);
  if (software[0] == 0x46505853) *(uint64_t *)((uint8_t *)fpu + 512) |= 3;
}

static void state_to_frame(ucontext_t *frame) {
  greg_t *g = frame->uc_mcontext.gregs;
  for (int i = 0; i < 18; i++) g[frame_slot[i]] = field[i];
  g[REG_CSGSFS] = field[CS] | field[SS] << 48;
  struct _libc_fpstate *fpu = frame->uc_mcontext.fpregs;
  declare_sse_valid(fpu);
  memset(fpu, 0, 24);
  memset(fpu->_st, 0, 128);
  fpu->cwd = 0x37f;
  fpu->mxcsr = field[MXCSR];
  memcpy(fpu->_xmm, &field[XMM], 256);
}

static void frame_to_state(const ucontext_t *frame, int signal_number) {
  const greg_t *g = frame->uc_mcontext.gregs;
  for (int i = 0; i < 18; i++) field[i] = g[frame_slot[i]];
  field[CS] = (uint16_t)g[REG_CSGSFS];
  field[SS] = (uint16_t)(g[REG_CSGSFS] >> 48);
  const struct _libc_fpstate *fpu = frame->uc_mcontext.fpregs;
  field[MXCSR] = fpu->mxcsr;
  memcpy(&field[XMM], fpu->_xmm, 256);
  int vector = g[REG_TRAPNO];
  uint64_t at = field[RIP] - 1;
  int is_own = at >= start && at < start + code_bytes;
  int is_filler = signal_number == SIGTRAP && vector == 3 && !is_own && at >= FIRST && at < CODE_END;
  field[EXCEPTION] = is_filler || signal_number == SIGALRM ? 0 : vector + 1;
  field[ERROR_CODE] = field[EXCEPTION] ? g[REG_ERR] : 0;
  field[CR2] = field[EXCEPTION] && vector == 14 ? g[REG_CR2] : 0;
  if (is_filler) field[RIP]--;
}

static int is_hole(uint64_t address) {
  return (address >= HOLE_1 && address < DATA) || (address >= HOLE_2 && address < READ_ONLY);
}

/* Runs of changed bytes; up to three unchanged ones between two are taken in. */
static void give_changes(void) {
  static uint64_t runs[4096][2];
  uint64_t count = 0;
  for (uint64_t i = DATA; i < END; i++) {
    if (is_hole(i)) continue;
    const uint8_t *now = writable + i - FIRST, *then = before + i - FIRST;
    if ((i & 63) == 0 && memcmp(now, then, 64) == 0) { i += 63; continue; }
    if (*now == *then) continue;
    uint64_t end = count ? runs[count - 1][0] + runs[count - 1][1] : 0;
    if (count && i - end <= 3) runs[count - 1][1] = i + 1 - runs[count - 1][0];
    else if (count < 4096) { runs[count][0] = i; runs[count++][1] = 1; }
  }
  give64(count);
  for (uint64_t i = 0; i < count; i++) {
    static uint64_t padded[WORLD / 8];
    if (runs[i][1] > sizeof padded) die("a change is too long");
    memcpy(padded, writable + runs[i][0] - FIRST, runs[i][1]);
    give(runs[i], 16);
    give(padded, (runs[i][1] + 7) & ~7ull);
  }
}

static void apply_patches(void) {
  uint64_t count, place[2];
  if (!take(&count, 8)) die("patches");
  while (count--) {
    uint64_t bytes[1024];
    if (!take(place, 16) || place[1] > sizeof bytes) die("patch");
    if (!take(bytes, (place[1] + 7) & ~7ull)) die("patch bytes");
    if (place[0] < FIRST || place[0] + place[1] > END) die("patch outside the world");
    memcpy(writable + place[0] - FIRST, bytes, place[1]);
    if (place[0] == start) code_bytes = place[1];
  }
}

static int next_case(ucontext_t *frame) {
  if (!take(field, sizeof field)) return 0;
  memcpy(writable, image, WORLD);
  start = field[RIP];
  apply_patches();
  memcpy(before, writable, WORLD);
  late = 0;
  state_to_frame(frame);
  return 1;
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)info;
  uint64_t segments = read_segments(), fs_base = read_fs_base(), gs_base = read_gs_base();
  if (in_case) load_segments(0x2b, 0x2b, 0, 0);
  if (in_case) write_fs_base(host_fs_base);
  __asm__ volatile("pushfq\n andq $~0x244000, (%%rsp)\n popfq" ::: "memory", "cc");
  ucontext_t *frame = context;
  if (number == SIGALRM && (!in_case || ++late < 3)) goto resume;
  if (in_case) {
    frame_to_state(frame, number);
    field[ES] = segments & 0xffff; field[DS] = segments >> 16 & 0xffff;
    field[FS] = segments >> 32 & 0xffff; field[GS] = segments >> 48;
    field[FS_BASE] = fs_base; field[GS_BASE] = gs_base;
    give64(number == SIGALRM);
    give(field, sizeof field);
    give_changes();
  }
  in_case = 1;
  if (!next_case(frame)) { fflush(stdout); _exit(0); }
  segments = field[ES] | field[DS] << 16 | field[FS] << 32 | field[GS] << 48;
  fs_base = field[FS_BASE]; gs_base = field[GS_BASE];
resume:
  if (!in_case) return;
  load_segments(segments, segments >> 16, segments >> 32, segments >> 48);
  write_gs_base(gs_base);
  write_fs_base(fs_base);
}

static void map(int file, uint64_t from, uint64_t to, int protection) {
  void *place = mmap((void *)from, to - from, protection,
    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, file, from - FIRST);
  if (place != (void *)from) die("mmap");
}

static void make_world(void) {
  int file = memfd_create("world", 0);
  if (file < 0 || ftruncate(file, WORLD) < 0) die("memfd");
  writable = mmap(NULL, WORLD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  image = malloc(WORLD);
  before = malloc(WORLD);
  if (!take(image, WORLD)) die("image");
  memcpy(writable, image, WORLD);
  map(file, FIRST, CODE_END, PROT_READ | PROT_EXEC);
  map(file, DATA, HOLE_2, PROT_READ | PROT_WRITE);
  map(file, READ_ONLY, END, PROT_READ);
}

int main(void) {
  make_world();
  static uint8_t stack[1 << 16] __attribute__((aligned(64)));
  sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof stack }, NULL);
  struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  sigfillset(&action.sa_mask);
  const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM, SIGUSR1, SIGSYS };
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
  struct itimerval tick = { .it_interval.tv_usec = 100000, .it_value.tv_usec = 100000 };
  setitimer(ITIMER_REAL, &tick, NULL);
  host_fs_base = read_fs_base();
  raise(SIGUSR1);
  return 1;
}
