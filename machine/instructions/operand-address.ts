/** Memory operands whose place counts, not their content. */
import type { MemoryOperand, Operand } from './operand.ts';
import type { Operations, Value } from './operations.ts';

/** Narrows an operand whose encoding allows memory only. */
export function memoryOf(operand: Operand): MemoryOperand {
  if (operand.kind !== 'memory') throw new Error(`a ${operand.kind} operand is not memory`);
  return operand;
}

/** The linear address of a memory operand, 64 bits. */
export function linearAddressOf(o: Operations, operand: Operand): Value {
  const memory = memoryOf(operand);
  return o.linearAddress(memory.segment, o.effectiveAddress(memory));
}

/** `linear` + `bytes`. */
export function addressPlus(o: Operations, linear: Value, bytes: number): Value {
  return o.add(linear, o.constant(bytes, linear.width));
}
