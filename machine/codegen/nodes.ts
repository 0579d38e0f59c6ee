/**
 * The record of one instruction's semantics: values as nodes, effects as statements in order. The
 * recorder makes it, the emitter turns it into WebAssembly; an engine may look through it between.
 */
import type { ValueType } from '../wasm/opcodes.ts';
import type { HostOperation } from '../instructions/host-operations.ts';
import type { MemoryOperand, Operand } from '../instructions/operand.ts';
import type { Local } from '../wasm/function-builder.ts';

/** What is common to all nodes; `uses` and `local` belong to the emitter. */
interface NodeBase {
  readonly valueType: ValueType;
  uses: number;
  local?: Local;
}

export interface ConstantNode extends NodeBase {
  readonly kind: 'constant';
  readonly value: bigint;
}
export interface VectorConstantNode extends NodeBase {
  readonly kind: 'vector-constant';
  readonly low: bigint;
  readonly high: bigint;
}
/** A pure WebAssembly operation; `lane` for lane access, `indexes` for a byte shuffle. */
export interface PureNode extends NodeBase {
  readonly kind: 'pure';
  readonly name: string;
  readonly operands: readonly Node[];
  readonly lane?: number;
  readonly indexes?: readonly number[];
}
/** A number that the instruction's encoding fixes. */
export interface EncodedNode extends NodeBase {
  readonly kind: 'encoded';
  readonly what: 'immediate' | 'displacement' | 'rip' | 'next-rip';
  readonly operand: Operand | undefined;
}
/** A general register: of an operand (`operand`, role) or fixed by the definition (`register`). */
export interface RegisterNode extends NodeBase {
  readonly kind: 'register';
  readonly place: RegisterPlace;
  readonly width: 8 | 16 | 32 | 64;
}
export interface VectorRegisterNode extends NodeBase {
  readonly kind: 'vector-register';
  readonly operand: Operand;
  /** 128 for all of it, else the low bits as an integer. */
  readonly width: 8 | 16 | 32 | 64 | 128;
}
export interface FieldNode extends NodeBase {
  readonly kind: 'field';
  readonly name: string;
}
/** A read of memory through the TLB; it may fault. */
export interface LoadNode extends NodeBase {
  readonly kind: 'load';
  readonly linear: Node;
  readonly lengthBytes: number;
  readonly isStack: boolean;
  readonly isAligned: boolean;
  /** Ask for write permission, because a store to the same place follows. */
  isForStore: boolean;
  /** Only the permission is asked for; the value is not read. */
  readonly isProbe: boolean;
  /** Where in the host the bytes are; kept for the store. */
  hostAddress?: Local;
}
/** Where in the host the bytes are if the TLB has them, as an i64; 0 if not. */
export interface LocationNode extends NodeBase {
  readonly kind: 'location';
  readonly linear: Node;
  readonly lengthBytes: number;
  readonly isWrite: boolean;
  /** Offset of the TLB tables to look into; undefined for those in force. */
  readonly context: Node | undefined;
}
/** A read of memory that has been located. */
export interface LocatedLoadNode extends NodeBase {
  readonly kind: 'located-load';
  readonly place: Node;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}
/** What a host operation or a string run gave back. */
export interface ResultNode extends NodeBase {
  readonly kind: 'result';
}

/** What is left of the instruction budget, the present instruction among it. */
export interface BudgetNode extends NodeBase {
  readonly kind: 'budget';
}

export type Node =
  | ConstantNode
  | VectorConstantNode
  | PureNode
  | EncodedNode
  | RegisterNode
  | VectorRegisterNode
  | FieldNode
  | LoadNode
  | LocationNode
  | LocatedLoadNode
  | BudgetNode
  | ResultNode;

export type RegisterPlace =
  | { readonly kind: 'operand'; readonly operand: Operand }
  | { readonly kind: 'base' | 'index'; readonly operand: MemoryOperand }
  | { readonly kind: 'fixed'; readonly register: number };

export type Statement =
  | { readonly kind: 'define'; readonly node: Node }
  | {
      readonly kind: 'write-register';
      readonly place: RegisterPlace;
      readonly width: 8 | 16 | 32 | 64;
      readonly value: Node;
    }
  | {
      readonly kind: 'write-vector-register';
      readonly operand: Operand;
      readonly width: 8 | 16 | 32 | 64 | 128;
      readonly value: Node;
    }
  | { readonly kind: 'write-field'; readonly name: string; readonly value: Node }
  | {
      readonly kind: 'store';
      readonly linear: Node;
      readonly lengthBytes: number;
      readonly isStack: boolean;
      readonly isAligned: boolean;
      readonly value: Node;
      /** The load whose permission and host address serve this store. */
      readonly after: LoadNode | undefined;
    }
  | {
      readonly kind: 'located-store';
      readonly place: Node;
      readonly offsetBytes: number;
      readonly lengthBytes: number;
      readonly value: Node;
    }
  | {
      readonly kind: 'when';
      readonly condition: Node;
      readonly then: Statement[];
      readonly otherwise: Statement[];
    }
  | { readonly kind: 'raise'; readonly vector: number; readonly errorCode: number | undefined }
  | { readonly kind: 'jump'; readonly target: Node }
  /** To the relative operand; without condition always. */
  | { readonly kind: 'branch'; readonly condition: Node | undefined; readonly operand: Operand }
  | { readonly kind: 'again'; readonly condition: Node }
  | {
      readonly kind: 'host';
      readonly operation: HostOperation;
      readonly operands: readonly Node[];
      readonly results: readonly [ResultNode, ResultNode];
      readonly isTransfer: boolean;
    }
  | {
      readonly kind: 'string-run';
      readonly count: Node;
      readonly destination: Node;
      readonly source: Node | undefined;
      readonly fill: Node | undefined;
      readonly width: 8 | 16 | 32 | 64;
      readonly result: ResultNode;
    };

/** Division traps, and must not where it is not reached. */
function mayTrap(operation: string): boolean {
  let traps = trapping.get(operation);
  if (traps === undefined) {
    traps = operation.includes('div') || operation.includes('rem');
    trapping.set(operation, traps);
  }
  return traps;
}

/** Answers of `mayTrap`: it is asked of every node several times, while a pause grows. */
const trapping = new Map<string, boolean>();

/** Nodes that stay where they were recorded, because what they read may change later. */
export function isPlaced(node: Node): boolean {
  switch (node.kind) {
    case 'constant':
    case 'vector-constant':
    case 'encoded':
      return false;
    case 'pure':
      return mayTrap(node.name);
    default:
      return true;
  }
}

export function operandsOf(node: Node): readonly Node[] {
  if (node.kind === 'pure') return node.operands;
  return node.kind === 'load' ? [node.linear] : [];
}
