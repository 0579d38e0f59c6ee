/**
 * Chooses what of a page becomes a region, and cuts it into basic blocks: the decoded instructions
 * that control can reach within the page from where time was seen to be spent.
 */
import { PAGE_SIZE } from '../addresses.ts';
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import { decode } from '../decoder/decoder.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import type { CodePage } from '../translation/code-page.ts';
import { RECORD_BYTES, type RecordArena } from '../translation/record.ts';
import type { BasicBlock, RegionInstruction, Target } from './basic-block.ts';
import { orderBlocks } from './block-order.ts';
import type { ControlFlow } from './control-flow.ts';

const LONGEST_INSTRUCTION = 15;

/** Bounds the time that compiling takes (and the optimising compiler's, which is not linear). */
const INSTRUCTION_LIMIT = 160;
/**
 * The compiler is itself cold at first: a first region of 120 instructions took it 20 ms. What is cut off
 * is compiled a moment later, and both become one region if control goes to and fro.
 */
const FIRST_INSTRUCTION_LIMIT = 64;

/** How many instructions a region may have when so many regions have been compiled before. */
export function instructionLimit(compiledBefore: number): number {
  return compiledBefore === 0 ? FIRST_INSTRUCTION_LIMIT : INSTRUCTION_LIMIT;
}

export interface RegionPlan {
  readonly mode: ExecutionMode;
  /** In the order of block-order.ts, by which they are numbered. */
  readonly blocks: readonly BasicBlock[];
  readonly instructionCount: number;
  /** Of all instructions in the page. */
  readonly offsets: readonly number[];
}

export interface PlanParts {
  readonly page: CodePage;
  readonly bytes: Uint8Array;
  readonly mode: ExecutionMode;
  readonly arena: RecordArena;
  readonly flows: ControlFlow;
  /** Offsets where time was spent, the most time first. */
  readonly seeds: readonly number[];
  /** Offsets that belong to other regions. */
  readonly excluded: ReadonlySet<number>;
  readonly isStop: (offset: number) => boolean;
  /** Instructions by offset that plans of the same page have found, for the next plan to find again. */
  readonly known: Map<number, RegionInstruction>;
  /** The region has at most so many instructions; see `instructionLimit`. */
  readonly instructionLimit: number;
}

/** The plan, or undefined if nothing of the page can be compiled. */
export function planRegion(parts: PlanParts): RegionPlan | undefined {
  const instructions = collect(parts);
  const ordered = [...instructions.values()].sort((left, right) => left.offset - right.offset);
  if (ordered.every(({ flow }) => flow === 'left')) return undefined;
  const blocks = orderBlocks(new BlockCutter(parts, ordered).cut());
  return {
    mode: parts.mode,
    blocks,
    instructionCount: ordered.length,
    offsets: ordered.map(({ offset }) => offset),
  };
}

function collect(parts: PlanParts): Map<number, RegionInstruction> {
  const found = new Map<number, RegionInstruction>();
  const waiting = parts.seeds.map((seed) => startOfRun(parts, seed));
  for (let index = 0; index < waiting.length; index++) {
    for (let offset = waiting[index]; offset !== undefined && !found.has(offset);) {
      if (found.size >= parts.instructionLimit) return found;
      const instruction = instructionAt(parts, offset);
      if (instruction === undefined) break;
      found.set(offset, instruction);
      const taken = takenOffset(instruction);
      if (taken !== undefined) waiting.push(taken);
      offset = goesOn(instruction) ? offset + instruction.decoded.lengthBytes : undefined;
    }
  }
  return found;
}

/** Control came to a run of records at its beginning, so that is where a region should begin. */
function startOfRun({ page, arena, excluded }: PlanParts, seed: number): number {
  const record = page.records.get(seed);
  if (record === undefined) return seed;
  const run = page.runs.find(
    ({ first, count }) => record >= first && record < first + count * RECORD_BYTES,
  );
  if (run === undefined) return seed;
  const start = seed - Number(arena.rip(record) - arena.rip(run.first));
  return page.records.get(start) === run.first && !excluded.has(start) ? start : seed;
}

function instructionAt(parts: PlanParts, offset: number): RegionInstruction | undefined {
  const { page, bytes, mode, arena, excluded } = parts;
  const record = page.records.get(offset);
  if (record === undefined || page.crossing.has(record) || excluded.has(offset)) return undefined;
  const known = parts.known.get(offset);
  if (known !== undefined) return known;
  const rip = arena.rip(record);
  const decoded = decode(bytes.subarray(offset, offset + LONGEST_INSTRUCTION), rip, mode);
  if (decoded.kind !== 'instruction') return undefined;
  const instruction = { record, offset, decoded, flow: parts.flows.of(decoded) };
  parts.known.set(offset, instruction);
  return instruction;
}

/** The offset in the page that a relative operand names, if it lies in the page. */
function takenOffset({ decoded, offset }: RegionInstruction): number | undefined {
  const operand = decoded.operands.find(({ kind }) => kind === 'relative');
  if (operand?.kind !== 'relative') return undefined;
  const target = BigInt(offset) + operand.target - decoded.address;
  return target >= 0n && target < BigInt(PAGE_SIZE) ? Number(target) : undefined;
}

/** Is what follows the instruction likely to be executed after it? So it is after calls. */
function goesOn({ decoded, flow }: RegionInstruction): boolean {
  return (flow !== 'jump' && flow !== 'indirect') || isCall(decoded);
}

function isCall({ definition }: DecodedInstruction): boolean {
  return definition.mnemonic === 'call';
}

class BlockCutter {
  private readonly parts: PlanParts;
  private readonly ordered: readonly RegionInstruction[];
  /** Offsets at which blocks begin → index, in order. */
  private readonly leaders = new Set<number>();
  private readonly entries = new Set<number>();
  private readonly numbers = new Map<number, number>();

  constructor(parts: PlanParts, ordered: readonly RegionInstruction[]) {
    this.parts = parts;
    this.ordered = ordered;
  }

  cut(): BasicBlock[] {
    this.findLeaders();
    const groups: RegionInstruction[][] = [];
    for (const instruction of this.ordered) {
      if (this.leaders.has(instruction.offset)) {
        this.numbers.set(instruction.offset, groups.length);
        groups.push([]);
      }
      groups.at(-1)!.push(instruction);
    }
    return groups.map((group, index) => this.block(group, index));
  }

  private findLeaders(): void {
    const { page, isStop } = this.parts;
    const starts = new Set(page.runs.map(({ first }) => first));
    let previousEnd = -1;
    for (const instruction of this.ordered) {
      const { offset, decoded, flow, record } = instruction;
      const end = offset + decoded.lengthBytes;
      if (offset !== previousEnd || starts.has(record) || isStop(offset)) this.enterAt(offset);
      previousEnd = end;
      if (flow === 'left' || isCall(decoded)) this.enterAt(end);
      else if (flow !== 'next') this.leaders.add(end);
      if (flow === 'left') this.leaders.add(offset);
      const taken = takenOffset(instruction);
      if (taken === undefined) continue;
      // A loop's beginning is an entry, so that a region is entered soon; so is a function's.
      if (taken <= offset || isCall(decoded)) this.enterAt(taken);
      else this.leaders.add(taken);
    }
  }

  private enterAt(offset: number): void {
    this.leaders.add(offset);
    this.entries.add(offset);
  }

  private block(instructions: readonly RegionInstruction[], index: number): BasicBlock {
    const first = instructions[0]!;
    const last = instructions.at(-1)!;
    const taken = takenOffset(last);
    const operand = last.decoded.operands.find(({ kind }) => kind === 'relative');
    const next = last.offset + last.decoded.lengthBytes;
    const isTransfer = last.flow === 'jump' || last.flow === 'indirect';
    return {
      index,
      instructions,
      isEntry: this.entries.has(first.offset) && first.flow !== 'left',
      isStop: this.parts.isStop(first.offset),
      taken:
        operand?.kind === 'relative' && last.flow !== 'left'
          ? this.target(taken, operand.target)
          : undefined,
      next: isTransfer ? undefined : this.target(next, nextRip(last.decoded)),
    };
  }

  private target(offset: number | undefined, rip: bigint): Target {
    const block = offset === undefined ? undefined : this.numbers.get(offset);
    if (block !== undefined) return { kind: 'block', block };
    return { kind: 'outside', rip, record: this.outsideRecord(offset) };
  }

  /** Instructions that cross into another page are looked up anew each time. */
  private outsideRecord(offset: number | undefined): number | undefined {
    const { page } = this.parts;
    const record = offset === undefined ? undefined : page.records.get(offset);
    return record === undefined || page.crossing.has(record) ? undefined : record;
  }
}

function nextRip({ address, lengthBytes, mode }: DecodedInstruction): bigint {
  const next = address + BigInt(lengthBytes);
  return mode.codeWidth === 64 ? next : BigInt.asUintN(32, next);
}
