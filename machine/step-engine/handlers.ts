/**
 * The handlers: one WebAssembly function per instruction shape, made when the shape is first seen.
 * A shape is a definition, the kinds and widths of its operands, and what of the mode it looks at.
 */
import { Emitter } from '../codegen/emitter.ts';
import { recordSemantics, type ModePart } from '../codegen/recorder.ts';
import type { Statement } from '../codegen/nodes.ts';
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import type { InstructionDefinition } from '../instructions/definition.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import type { MemoryOperand, Operand } from '../instructions/operand.ts';
import type { Handler, HandlerSource } from '../translation/handler-source.ts';
import type { ModuleHost } from '../translation/module-host.ts';
import { HANDLER_SIGNATURE, startHandlerModule } from '../translation/runtime.ts';
import { StepBinding } from './step-binding.ts';

interface Pending {
  readonly index: number;
  readonly instruction: DecodedInstruction;
  readonly statements: readonly Statement[];
}

/** Handlers of one shape differ by the parts of the mode that its semantics look at. */
interface Shape {
  readonly dependsOn: readonly ModePart[];
  readonly variants: Map<string, Handler>;
}

/** The example kernel with its tests needs some 200; far jumps have a shape for each target. */
const MOST_HANDLERS = 4096;

export class Handlers implements HandlerSource {
  private readonly shapes = new Map<string, Shape>();
  private readonly definitionNumbers = new Map<InstructionDefinition, number>();
  private readonly host: ModuleHost;
  private readonly first: number;
  private next: number;
  private pending: Pending[] = [];

  /** `first` is the first free index of the table. */
  constructor(host: ModuleHost, first: number) {
    this.host = host;
    this.first = first;
    this.next = first;
  }

  get isFull(): boolean {
    return this.next - this.first >= MOST_HANDLERS || this.host.isCrowded;
  }

  /** Other code needs the same handlers again: they stay until there are too many. */
  clear(): void {
    if (!this.isFull) return;
    this.host.renew();
    this.shapes.clear();
    this.pending = [];
    this.next = this.first;
  }

  handlerFor(instruction: DecodedInstruction): Handler {
    const key = this.shapeKey(instruction);
    const shape = this.shapes.get(key);
    const known = shape?.variants.get(variantKey(instruction.mode, shape.dependsOn));
    if (known !== undefined) return known;
    const own = withOwnOperands(instruction);
    const { statements, dependsOn } = recordSemantics(own);
    const handler = { index: this.next++, goesOn: goesOn(statements) };
    this.pending.push({ index: handler.index, instruction: own, statements });
    // A part of the mode may be asked for in one mode only: the shape depends on all of them.
    const parts = [...new Set([...(shape?.dependsOn ?? []), ...dependsOn])];
    const variants =
      parts.length === shape?.dependsOn.length ? shape.variants : new Map<string, Handler>();
    variants.set(variantKey(instruction.mode, parts), handler);
    this.shapes.set(key, { dependsOn: parts, variants });
    return handler;
  }

  /** Compiles all new handlers into one module: a module costs more than a function. */
  compile(): void {
    if (this.pending.length === 0) return;
    const { module, imports } = startHandlerModule(this.host.memoryPages);
    const handlerType = module.type(HANDLER_SIGNATURE);
    for (const { index, instruction, statements } of this.pending) {
      const { builder } = module.function(`h${index}`, HANDLER_SIGNATURE);
      const binding = new StepBinding({ builder, imports, handlerType, instruction });
      new Emitter(binding).instruction(statements);
    }
    const { table } = this.host;
    const functions = this.host.instantiate(module.finish());
    if (this.next > table.length) table.grow(this.next - table.length + 512);
    for (const { index } of this.pending) table.set(index, functions[`h${index}`]);
    this.pending = [];
  }

  private shapeKey(instruction: DecodedInstruction): string {
    const { definition, mode } = instruction;
    let number = this.definitionNumbers.get(definition);
    if (number === undefined) {
      number = this.definitionNumbers.size;
      this.definitionNumbers.set(definition, number);
    }
    const context = `${instruction.operandWidth} ${instruction.addressWidth} ${instruction.repeat}`;
    const machine = `${mode.codeWidth} ${mode.stackWidth}`;
    const operands = instruction.operands.map(operandKey).join();
    const constants = definition.constantImmediate
      ? instruction.operands.map(immediateKey).join('')
      : '';
    return `${number} ${context} ${instruction.segment ?? ''} ${machine} ${operands} ${constants}`;
  }
}

/**
 * The decoder shares register operands, so that both of `xor eax, eax` are one object. A handler
 * tells operands apart by object: in a shape each is its own.
 */
function withOwnOperands(instruction: DecodedInstruction): DecodedInstruction {
  return { ...instruction, operands: instruction.operands.map((operand) => ({ ...operand })) };
}

function variantKey(mode: ExecutionMode, parts: readonly ModePart[]): string {
  return parts.map((part) => `${part}=${mode[part]}`).join();
}

function goesOn(statements: readonly Statement[]): boolean {
  const last = statements.at(-1);
  switch (last?.kind) {
    case 'jump':
    case 'raise':
      return false;
    case 'branch':
      return last.condition !== undefined;
    case 'host':
      return !last.isTransfer;
    default:
      return true;
  }
}

function operandKey(operand: Operand): string {
  switch (operand.kind) {
    case 'register':
    case 'immediate':
    case 'relative':
    case 'vector':
      return `${operand.kind}${operand.width}`;
    case 'memory':
      return memoryKey(operand);
    case 'far':
      return `far${operand.width}:${operand.selector}:${operand.offset}`;
    case 'segment-register':
    case 'control-register':
    case 'debug-register':
      return `${operand.kind}${operand.width}:${operand.register}`;
  }
}

/** Where semantics look at an immediate's value, each value is a shape of its own. */
function immediateKey(operand: Operand): string {
  return operand.kind === 'immediate' ? `=${operand.value}` : '';
}

function memoryKey(operand: MemoryOperand): string {
  const base = operand.base === undefined ? '' : 'b';
  const index = operand.index === undefined ? '' : `i${operand.scale}`;
  const displacement = operand.displacement === 0n ? '' : 'd';
  return `m${operand.width}${base}${index}${displacement}${operand.segment}${operand.addressWidth}`;
}
