/**
 * The exception of a faulting instruction, delivered without leaving generated code where the fast
 * path can (instructions/fast-transfers.ts); else it is the machine's, as every fault used to be.
 */
import { Emitter } from '../codegen/emitter.ts';
import { recordSemantics } from '../codegen/recorder.ts';
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import { VECTOR } from '../guest-fault.ts';
import { defineInstruction } from '../instructions/definition.ts';
import { deliverException } from '../instructions/fast-transfers.ts';
import type { ModuleHost } from '../translation/module-host.ts';
import { HANDLER_SIGNATURE, LOOKUP_SIGNATURE, startHandlerModule } from '../translation/runtime.ts';
import { StepBinding } from './step-binding.ts';

/** What happens between a fault and its handler, as if it were an instruction of 64-bit code. */
const DELIVERY: DecodedInstruction = {
  kind: 'instruction',
  definition: defineInstruction({
    mnemonic: 'exception',
    encodings: [],
    semantics: (o) => deliverException(o, () => o.raise(VECTOR.UD)),
  }),
  encoding: 0,
  operands: [],
  address: 0n,
  lengthBytes: 0,
  mode: {
    codeWidth: 64,
    stackWidth: 64,
    longMode: true,
    cpl: 0,
    sse: 'enabled',
    x87: 'enabled',
  },
  operandWidth: 64,
  addressWidth: 64,
  repeat: 'none',
  segment: undefined,
  isLocked: false,
};

/** Delivery retires nothing, and what it cannot do leaves with the fault. */
class DeliveryBinding extends StepBinding {
  leaveUndone(): void {
    this.leaveToMachine();
  }

  override jump(pushTarget: () => void): void {
    pushTarget();
    this.builder.get(this.budget);
    this.builder.returnCall(this.imports.lookup, LOOKUP_SIGNATURE);
  }
}

/** (record, budget) → exit code: the fault in the state is that of the record. */
export function buildDelivery(host: ModuleHost, functions: Record<string, unknown>): unknown {
  const { module, imports } = startHandlerModule(host.memoryPages);
  const handlerType = module.type(HANDLER_SIGNATURE);
  const { builder } = module.function('deliver', HANDLER_SIGNATURE);
  const binding = new DeliveryBinding({ builder, imports, handlerType, instruction: DELIVERY });
  // A single step ends with the delivery, and the machine must see that.
  builder.get(binding.budget);
  builder.i32(1);
  builder.emit('i32.le_s');
  builder.when(() => binding.leaveUndone());
  new Emitter(binding).instruction(recordSemantics(DELIVERY).statements);
  return host.instantiate(module.finish(), functions)['deliver'];
}
