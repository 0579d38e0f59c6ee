/**
 * Emits a region: one function with a handler's signature.
 *
 *     load registers and flags; where = record.entry
 *     block out
 *      loop all
 *       not enough budget for the longest way without a loop? → out, to step on
 *       dispatch on `where`
 *       blocks and loops, nested (control-tree.ts); where they end in a jump that the jump
 *       cache knows: another entry of this region → all, a record elsewhere → out, to enter it
 *     out: compute the flags that were kept (lazy-flags.ts); write back
 *     then step on: execute one instruction in the step engine
 *     or enter: go on at a record
 *     or miss: ask for the target
 *
 * A block takes its instructions off the budget at its end. Loops look at the budget at each turn:
 * what is left then suffices for every way down, so that no other place need look.
 */
import { Emitter } from '../codegen/emitter.ts';
import type { Node } from '../codegen/nodes.ts';
import { fieldOffset } from '../state/fields.ts';
import { JUMP_CACHE_BASE, JUMP_CACHE_ENTRIES } from '../state/layout.ts';
import { RECORD } from '../translation/record.ts';
import {
  HANDLER_SIGNATURE,
  LOOKUP_SIGNATURE,
  type HandlerImports,
} from '../translation/runtime.ts';
import type { FunctionBuilder, Label, Local } from '../wasm/function-builder.ts';
import { noteRegisters, type BlockSemantics, type RegisterUse } from './block-semantics.ts';
import { itemIndex, type ControlTree, type Level } from './control-tree.ts';
import { LazyFlags } from './lazy-flags.ts';
import { RegionBinding, type RegionFlow } from './region-binding.ts';
import type { RegionShape } from './region-shape.ts';
import type { Target } from './basic-block.ts';

/** A place on the way through the levels: where their items and heads are branched to. */
interface LevelLabels {
  head: Label | undefined;
  readonly items: Map<number, Label>;
}

/** What to do when all is written back. */
const EXIT = { stepOn: 0, enter: 1, miss: 2 } as const;
type Exit = (typeof EXIT)[keyof typeof EXIT];

export class RegionEmitter implements RegionFlow {
  private readonly builder: FunctionBuilder;
  private readonly shape: RegionShape;
  private readonly tree: ControlTree;
  private readonly imports: HandlerImports;
  private readonly binding: RegionBinding;
  private readonly emitter: Emitter;
  private readonly tableIndex: number;
  private readonly handlerType: number;
  private readonly record: Local;
  private readonly budget: Local;
  private readonly where: Local;
  private readonly target: Local;
  private readonly labels = new Map<Level, LevelLabels>();
  private readonly lazy: LazyFlags;
  private readonly exit: Local;
  private out!: Label;
  private all!: Label;
  /** The block and the number of its instruction that is being emitted. */
  private block!: BlockSemantics;
  private position = 0;

  constructor(parts: {
    builder: FunctionBuilder;
    imports: HandlerImports;
    shape: RegionShape;
    tableIndex: number;
    handlerType: number;
  }) {
    this.builder = parts.builder;
    this.shape = parts.shape;
    this.tree = parts.shape.tree;
    this.imports = parts.imports;
    this.tableIndex = parts.tableIndex;
    this.handlerType = parts.handlerType;
    [this.record, this.budget] = parts.builder.parameters as [Local, Local];
    const use = registersOf(parts.shape.blocks);
    this.binding = new RegionBinding({
      builder: parts.builder,
      imports: parts.imports,
      use,
      flow: this,
    });
    this.emitter = new Emitter(this.binding);
    this.where = parts.builder.local('i32');
    this.target = parts.builder.local('i64');
    this.exit = parts.builder.local('i32');
    this.lazy = new LazyFlags(parts.builder);
  }

  emit(): void {
    const { builder, binding, imports } = this;
    binding.load();
    builder.get(this.record);
    builder.memory('i32.load', RECORD.entry);
    builder.set(this.where);
    builder.block((out) => {
      this.out = out;
      builder.loop((all) => {
        this.all = all;
        this.emitAll();
      });
    });
    this.lazy.resolve(binding.flags);
    binding.store();
    builder.block((miss) => {
      builder.block((enter) => {
        builder.block((stepOn) => {
          builder.get(this.exit);
          builder.branchTable([stepOn, enter], miss);
        });
        this.pushRecordAndBudget();
        builder.returnCall(imports.stepOn, HANDLER_SIGNATURE);
      });
      this.pushRecordAndBudget();
      builder.get(this.record);
      builder.memory('i32.load', RECORD.handler);
      builder.returnCallIndirect(this.handlerType, HANDLER_SIGNATURE);
    });
    builder.get(this.target);
    builder.get(this.budget);
    builder.returnCall(imports.lookup, LOOKUP_SIGNATURE);
  }

  push(node: Node): void {
    this.emitter.push(node);
  }

  leaveUndone(): void {
    this.keepFlags();
    this.leaveAt(this.instruction().record, EXIT.stepOn, this.position);
  }

  goOn(): void {
    // Only the end of a block leads anywhere else than to the following code.
  }

  /** To a computed target: within the region if the jump cache says so. */
  jump(pushTarget: () => void): void {
    const { builder, target } = this;
    pushTarget();
    builder.set(target);
    this.materialise();
    this.takeOffBudget(this.position + 1);
    this.lookUp();
  }

  /** To the relative operand of the block's last instruction. */
  branch(): void {
    this.edge(this.block.block.taken!);
  }

  private emitAll(): void {
    const { builder } = this;
    this.setExit(EXIT.stepOn);
    builder.get(this.budget);
    builder.i32(this.shape.longestWay);
    builder.emit('i32.le_s');
    builder.branchIf(this.out);
    this.emitLevel(this.tree.root);
  }

  /**
   * To `target`: probes the jump cache as core-module.ts does. Each place has a probe of its own, so that
   * the host's CPU predicts each alone: with one for all, indirect calls took half as long again.
   */
  private lookUp(): void {
    const { builder } = this;
    const entry = builder.local('i32');
    this.setExit(EXIT.miss);
    builder.get(this.target);
    builder.emit('i32.wrap_i64');
    builder.i32(JUMP_CACHE_ENTRIES - 1);
    builder.emit('i32.and');
    builder.i32(4);
    builder.emit('i32.shl');
    builder.tee(entry);
    builder.memory('i64.load', JUMP_CACHE_BASE);
    builder.get(this.target);
    builder.emit('i64.ne');
    builder.branchIf(this.out);
    builder.get(entry);
    builder.memory('i32.load', JUMP_CACHE_BASE + 12);
    builder.i32(0);
    builder.memory('i32.load', fieldOffset('lookupTag'));
    builder.emit('i32.ne');
    builder.branchIf(this.out);
    this.setExit(EXIT.enter);
    builder.get(entry);
    builder.memory('i32.load', JUMP_CACHE_BASE + 8);
    builder.tee(this.record);
    builder.memory('i32.load', RECORD.handler);
    builder.i32(this.tableIndex);
    builder.emit('i32.ne');
    builder.branchIf(this.out);
    builder.get(this.record);
    builder.memory('i32.load', RECORD.entry);
    builder.set(this.where);
    builder.branch(this.all);
  }

  private emitLevel(level: Level): void {
    const labels: LevelLabels = { head: undefined, items: new Map() };
    this.labels.set(level, labels);
    this.emitItems(level, labels, level.items.length - 1);
  }

  /** Everything of a level up to an item: an item that is branched to ends a `block` before it. */
  private emitItems(level: Level, labels: LevelLabels, last: number): void {
    this.builder.block((label) => {
      labels.items.set(last, label);
      if (last === 0) this.emitDispatch(level, labels);
      else this.emitItems(level, labels, last - 1);
    });
    const item = level.items[last]!;
    if (typeof item === 'number') this.emitBlock(this.shape.blocks[item]!);
    else this.emitLoop(item);
  }

  private emitLoop(level: Level): void {
    this.builder.loop((head) => {
      const labels: LevelLabels = { head, items: new Map() };
      this.labels.set(level, labels);
      this.emitItems(level, labels, level.items.length - 1);
    });
  }

  private emitDispatch(level: Level, labels: LevelLabels): void {
    const { builder } = this;
    const first = labels.items.get(0)!;
    if (level.dispatched.size === 0) {
      builder.branch(first);
      return;
    }
    const blocks = [...level.dispatched].sort((left, right) => left - right);
    const [lowest, highest] = [blocks[0]!, blocks.at(-1)!];
    const targets: Label[] = [];
    for (let block = lowest; block <= highest; block++) {
      const isTarget = level.dispatched.has(block);
      targets.push(isTarget ? labels.items.get(itemIndex(level, block))! : first);
    }
    builder.get(this.where);
    if (lowest !== 0) {
      builder.i32(lowest);
      builder.emit('i32.sub');
    }
    builder.branchTable(targets, first);
  }

  private emitBlock(semantics: BlockSemantics): void {
    const { binding } = this;
    const { block, instructions } = semantics;
    this.block = semantics;
    this.position = 0;
    binding.pending.clear();
    for (const { statements, flags, settlesFlags } of instructions) {
      if (settlesFlags) {
        this.materialise();
        binding.pending.clear();
      }
      this.emitter.instruction(statements);
      for (const [field, node] of flags) binding.pending.set(field, node);
      this.position += 1;
    }
    const last = block.instructions.at(-1)!;
    if (last.flow === 'left') {
      this.keepFlags();
      this.leaveAt(last.record, EXIT.enter, this.position);
      return;
    }
    this.position -= 1;
    if (last.flow !== 'jump' && last.flow !== 'indirect') this.edge(block.next!);
  }

  /** From the end of the present block. */
  private edge(target: Target): void {
    if (target.kind === 'outside') {
      this.leaveTo(target);
      return;
    }
    const { builder } = this;
    const from = this.block.block.index;
    const to = target.block;
    const goal = this.shape.blocks[to]!;
    this.takeOffBudget(this.position + 1);
    if (goal.block.isStop) this.lookForBreakpoint(goal.block.instructions[0]!.record);
    const route = this.tree.route(from, to);
    if (route.kind === 'again') {
      this.turn(goal, route.loop);
      return;
    }
    this.passFlags(to);
    if (route.isDispatched) this.setWhere(to);
    builder.branch(this.labels.get(route.level)!.items.get(route.item)!);
  }

  /** Once more round a loop, if the budget suffices. */
  private turn(head: BlockSemantics, loop: Level): void {
    const { builder } = this;
    builder.get(this.budget);
    builder.i32(this.shape.longestWayFrom[head.block.index]!);
    builder.emit('i32.le_s');
    builder.when(() => {
      this.keepFlags();
      this.leaveAt(head.block.instructions[0]!.record, EXIT.stepOn, 0);
    });
    this.passFlags(head.block.index);
    if (loop.dispatched.size > 0) this.setWhere(head.block.index);
    builder.branch(this.labels.get(loop)!.head!);
  }

  private leaveTo(target: Extract<Target, { kind: 'outside' }>): void {
    const { builder } = this;
    this.keepFlags();
    if (target.record !== undefined) {
      this.leaveAt(target.record, EXIT.enter, this.position + 1);
      return;
    }
    this.takeOffBudget(this.position + 1);
    builder.i64(target.rip);
    builder.set(this.target);
    this.setExit(EXIT.miss);
    builder.branch(this.out);
  }

  private lookForBreakpoint(record: number): void {
    const { builder } = this;
    builder.i32(record);
    builder.memory('i32.load', RECORD.handler);
    builder.i32(this.tableIndex);
    builder.emit('i32.ne');
    builder.when(() => {
      this.keepFlags();
      this.leaveAt(record, EXIT.enter, 0);
    });
  }

  private leaveAt(record: number, exit: Exit, retired: number): void {
    const { builder } = this;
    this.takeOffBudget(retired);
    builder.i32(record);
    builder.set(this.record);
    this.setExit(exit);
    builder.branch(this.out);
  }

  private setExit(exit: Exit): void {
    this.builder.i32(exit);
    this.builder.set(this.exit);
  }

  /** Computes pending flags into their variables. */
  private materialise(): void {
    this.binding.materialise();
    if (this.binding.pending.size > 0) this.lazy.settle();
  }

  /** Before leaving by `out`, where they are computed. */
  private keepFlags(): void {
    if (!this.lazy.keep(this.binding.pending)) this.materialise();
  }

  /**
   * Brings the flags to another block. Where they are only seen when control leaves, what they are
   * computed from will do. Flags that this block did not set stay as they came, but for a block that
   * sets some of them, for which they came in their variables.
   */
  private passFlags(to: number): void {
    const { liveFlags, usedFlags } = this.shape;
    const { pending } = this.binding;
    if (pending.size === 0 || liveFlags[to]!.size === 0) return;
    if (usedFlags[to]!.size === 0 && this.lazy.keep(pending)) return;
    this.binding.materialise(liveFlags[to]);
    this.lazy.settle();
  }

  private pushRecordAndBudget(): void {
    this.builder.get(this.record);
    this.builder.get(this.budget);
  }

  private takeOffBudget(retired: number): void {
    if (retired === 0) return;
    const { builder } = this;
    builder.get(this.budget);
    builder.i32(retired);
    builder.emit('i32.sub');
    builder.set(this.budget);
  }

  private setWhere(block: number): void {
    this.builder.i32(block);
    this.builder.set(this.where);
  }

  private instruction(): { readonly record: number } {
    return this.block.block.instructions[this.position]!;
  }
}

function registersOf(blocks: readonly BlockSemantics[]): RegisterUse {
  const use: RegisterUse = {
    general: new Set(),
    writtenGeneral: new Set(),
    vector: new Set(),
    writtenVector: new Set(),
  };
  for (const { instructions } of blocks) {
    for (const { statements } of instructions) noteRegisters(statements, use);
  }
  return use;
}
