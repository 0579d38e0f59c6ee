/**
 * The bits of CR0, CR3, CR4, EFER and RFLAGS that govern translation, read as numbers from the CPU
 * state (Intel SDM 3A §4.1, 2.5). Nothing is cached, so whoever writes a register need not tell.
 */
import { WORD, type CpuState } from '../state/fields.ts';
import { TLB_CONTEXT, TLB_CONTEXT_BYTES } from '../state/layout.ts';

export const CR0_WP = 1 << 16;
export const CR0_PG = 1 << 31;
export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_SMEP = 1 << 20;
export const CR4_SMAP = 1 << 21;
export const EFER_LMA = 1 << 10;
export const EFER_NXE = 1 << 11;
export const RFLAGS_AC = 1 << 18;

export type PagingMode = 'off' | '32-bit' | 'pae' | '4-level';

/**
 * Who accesses (layout.ts, TLB_CONTEXT): user; supervisor that SMAP keeps from user pages;
 * supervisor that may touch them.
 */
export type TlbContext = 0 | 1 | 2;

export class PagingRegisters {
  private readonly words: Uint32Array;

  constructor(state: CpuState) {
    this.words = state.words;
  }

  get mode(): PagingMode {
    if ((this.words[WORD.cr0]! & CR0_PG) === 0) return 'off';
    if (this.isLongMode) return '4-level';
    return (this.words[WORD.cr4]! & CR4_PAE) === 0 ? '32-bit' : 'pae';
  }

  /** EFER.LMA: linear addresses have 64 bits and must be canonical. */
  get isLongMode(): boolean {
    return (this.words[WORD.efer]! & EFER_LMA) !== 0;
  }

  /** CR3 as a number; bits above the physical address width are 0 by MOV CR3's rules. */
  get cr3(): number {
    return (this.words[WORD.cr3 + 1]! & 0xf_ffff) * 2 ** 32 + this.words[WORD.cr3]!;
  }

  get isWriteProtected(): boolean {
    return (this.words[WORD.cr0]! & CR0_WP) !== 0;
  }

  get isNoExecuteEnabled(): boolean {
    return (this.words[WORD.efer]! & EFER_NXE) !== 0;
  }

  get hasLargePages(): boolean {
    return (this.words[WORD.cr4]! & CR4_PSE) !== 0;
  }

  get isSmep(): boolean {
    return (this.words[WORD.cr4]! & CR4_SMEP) !== 0;
  }

  get isSmap(): boolean {
    return (this.words[WORD.cr4]! & CR4_SMAP) !== 0;
  }

  /** The context in force, as the generated code uses it. */
  get context(): TlbContext {
    return (this.words[WORD.tlbContext]! / TLB_CONTEXT_BYTES) as TlbContext;
  }

  /** The context of an ordinary access at a privilege level, with RFLAGS.AC as it stands. */
  contextAt(cpl: number): TlbContext {
    if (cpl === 3) return TLB_CONTEXT.user;
    if ((this.words[WORD.rflagsSystem]! & RFLAGS_AC) !== 0) return TLB_CONTEXT.supervisorUserAccess;
    return this.implicitContext;
  }

  /**
   * The context of accesses to GDT, LDT, IDT and TSS: supervisor at any CPL, and RFLAGS.AC does not
   * open user pages (Intel SDM 3A §4.6.1).
   */
  get implicitContext(): TlbContext {
    return this.isSmap ? TLB_CONTEXT.supervisor : TLB_CONTEXT.supervisorUserAccess;
  }

  /** To be called whenever CPL, CR4.SMAP or RFLAGS.AC have changed. */
  updateContext(): void {
    this.words[WORD.tlbContext] = this.contextAt(this.words[WORD.cpl]!) * TLB_CONTEXT_BYTES;
  }
}
