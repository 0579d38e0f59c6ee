/**
 * Records the semantics of one decoded instruction as statements. The engines' emitters make
 * WebAssembly of them; that is all that stands between a definition and running code.
 */
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import { VECTOR } from '../guest-fault.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import type { HostOperation } from '../instructions/host-operations.ts';
import type { IntegerWidth, Operand, SegmentRegister } from '../instructions/operand.ts';
import type { Condition, Operations, Value } from '../instructions/operations.ts';
import { FastPathRecorder } from './fast-path-recorder.ts';
import { countUses } from './node-recorder.ts';
import type { EncodedNode, Node, ResultNode, Statement } from './nodes.ts';
import type { FlagKnowledge } from './state-recorder.ts';

/** The parts of the mode that code of one width rarely asks for. */
const ASKED_FOR = ['cpl', 'longMode', 'sse', 'x87'] as const;
export type ModePart = (typeof ASKED_FOR)[number];

/** What was recorded, and which of those parts of the mode it depends on. */
export interface RecordedSemantics {
  readonly statements: readonly Statement[];
  readonly dependsOn: readonly ModePart[];
}

/** What a block tells the recorder of one of its instructions. */
export interface Specialisation {
  /** What is known of the flags before the instruction. */
  readonly flags: FlagKnowledge;
}

/** The semantics of an instruction in a block: uses are not counted, and the encoding is constant. */
export interface SpecialisedSemantics {
  readonly statements: Statement[];
  /** What is known of the flags after it. */
  readonly flags: FlagKnowledge;
}

class Recorder extends FastPathRecorder implements Operations {
  readonly context: DecodedInstruction;
  readonly mode: ExecutionMode;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly repeat: 'none' | 'repe' | 'repne';
  readonly segment: SegmentRegister | undefined;
  private readonly askedFor = new Set<ModePart>();
  /** Numbers of the encoding are constants, not fields of a record. */
  private isConstant = false;

  constructor(instruction: DecodedInstruction) {
    super();
    this.context = instruction;
    this.mode = this.watchedMode(instruction.mode);
    this.operandWidth = instruction.operandWidth;
    this.addressWidth = instruction.addressWidth;
    this.repeat = instruction.repeat;
    this.segment = instruction.segment;
  }

  record(): RecordedSemantics {
    this.run();
    countUses(this.statements);
    return { statements: this.statements, dependsOn: [...this.askedFor].sort() };
  }

  recordSpecialised({ flags }: Specialisation): SpecialisedSemantics {
    this.isConstant = true;
    this.knowFlags(flags);
    this.run();
    return { statements: this.statements, flags: this.flagKnowledge };
  }

  protected override encoded(what: EncodedNode['what'], operand: Operand | undefined): Node {
    if (!this.isConstant) return super.encoded(what, operand);
    return this.constantNode(BigInt.asUintN(64, this.encodedNumber(what, operand)));
  }

  private encodedNumber(what: EncodedNode['what'], operand: Operand | undefined): bigint {
    if (what === 'rip') return this.context.address;
    if (what === 'next-rip') {
      const { address, lengthBytes, mode } = this.context;
      const next = address + BigInt(lengthBytes);
      return mode.codeWidth === 64 ? next : BigInt.asUintN(32, next);
    }
    if (what === 'immediate' && operand?.kind === 'immediate') return operand.value;
    if (what === 'displacement' && operand?.kind === 'memory') return operand.displacement;
    throw new Error(`a ${operand?.kind} operand has no ${what}`);
  }

  private run(): void {
    const { definition, operands } = this.context;
    const { mode } = this;
    if (definition.privileged === true && mode.cpl !== 0) this.raise(VECTOR.GP, 0);
    else if (definition.sse === true && mode.sse === 'undefined') this.raise(VECTOR.UD);
    else if (definition.sse === true && mode.sse === 'not-available') this.raise(VECTOR.NM);
    else definition.semantics(this, ...operands);
  }

  /** Notes who asks, so that code which does not care serves all modes. */
  private watchedMode(mode: ExecutionMode): ExecutionMode {
    const watched = { ...mode };
    for (const part of ASKED_FOR) {
      const get = (): ExecutionMode[ModePart] => {
        this.askedFor.add(part);
        return mode[part];
      };
      Object.defineProperty(watched, part, { get });
    }
    return watched;
  }

  jump(target: Value): void {
    this.statements.push({ kind: 'jump', target: this.node(target) });
  }

  jumpRelative(operand: Operand): void {
    this.statements.push({ kind: 'branch', condition: undefined, operand });
  }

  branchIf(condition: Condition, operand: Operand): void {
    this.statements.push({ kind: 'branch', condition: this.node(condition), operand });
  }

  raise(vector: number, errorCode?: number): void {
    this.mayFault('an exception');
    this.statements.push({ kind: 'raise', vector, errorCode });
  }

  raiseIf(condition: Condition, vector: number, errorCode?: number): void {
    this.when(condition, () => this.raise(vector, errorCode));
  }

  when(condition: Condition, then: () => void, otherwise?: () => void): void {
    const node = this.node(condition);
    if (node.kind === 'constant') {
      (node.value === 0n ? otherwise : then)?.();
      return;
    }
    const thenArm = this.nested(then);
    const otherwiseArm = this.nested(otherwise ?? ((): void => undefined));
    const changes = [thenArm, otherwiseArm].some((arm) => arm.hasChangedState);
    this.statements.push({
      kind: 'when',
      condition: node,
      then: thenArm.statements,
      otherwise: otherwiseArm.statements,
    });
    if (changes) {
      this.hasChangedState = true;
      this.forgetFlags();
    }
  }

  again(condition: Condition): void {
    this.statements.push({ kind: 'again', condition: this.node(condition) });
  }

  stringRun(run: {
    readonly count: Value;
    readonly destination: Value;
    readonly source?: Value;
    readonly fill?: Value;
    readonly width: IntegerWidth;
  }): Value {
    const result = this.result();
    this.statements.push({
      kind: 'string-run',
      count: this.node(run.count),
      destination: this.node(run.destination),
      source: run.source && this.node(run.source),
      fill: run.fill && this.node(run.fill),
      width: run.width,
      result,
    });
    return this.value(result, 64);
  }

  host(operation: HostOperation, ...operands: Value[]): readonly [Value, Value] {
    const [first, second] = this.callHost(operation, operands, false);
    return [this.value(first, 64), this.value(second, 64)];
  }

  hostTransfer(operation: HostOperation, ...operands: Value[]): void {
    this.callHost(operation, operands, true);
  }

  private callHost(
    operation: HostOperation,
    operands: readonly Value[],
    isTransfer: boolean,
  ): readonly [ResultNode, ResultNode] {
    this.mayFault(`host operation ${operation}`);
    const results = [this.result(), this.result()] as const;
    this.statements.push({
      kind: 'host',
      operation,
      operands: operands.map((operand) => this.node(operand)),
      results,
      isTransfer,
    });
    return results;
  }

  private result(): ResultNode {
    return { kind: 'result', valueType: 'i64', uses: 0 };
  }
}

/** The semantics of an instruction as a part of a block. */
export function recordInBlock(
  instruction: DecodedInstruction,
  specialisation: Specialisation,
): SpecialisedSemantics {
  return new Recorder(instruction).recordSpecialised(specialisation);
}

/** The semantics of an instruction, with uses counted. */
export function recordSemantics(instruction: DecodedInstruction): RecordedSemantics {
  return new Recorder(instruction).record();
}
