/**
 * Whether an exception could be delivered in the present state, step by step as the CPU does it
 * (Intel SDM 3A §6.12, 6.14): gate, code segment, stack. For `why`.
 */
import type { MachineView, RaisedException } from '../../machine/index.ts';
import { explainWalk } from '../../machine/index.ts';
import { address, addressWithSymbol } from './format.ts';
import type { MonitorContext } from './monitor-command.ts';
import { walkConclusion } from './page-walk-lines.ts';
import {
  type Gate,
  type SegmentDescriptor,
  descriptorType,
  interruptStack,
  isLongMode,
  readDescriptor,
  readGate,
  register,
  stackOfLevel,
} from './system-tables.ts';

const CODE_TYPE_BIT = 8;
const CONFORMING_BIT = 4;
/** SS, RSP, RFLAGS, CS, RIP and an error code. */
const FRAME_QUADWORDS = 6n;

/** Lines for each step until one fails; the last says whether the handler would be entered. */
export function deliveryLines(context: MonitorContext, exception: RaisedException): string[] {
  const { vector } = exception;
  const gate = readGate(context.machine, vector);
  if (typeof gate === 'string') return [`handler: ${noGate(context.machine, vector, gate)}`];
  const broken = gateFault(context.machine, gate);
  if (broken !== undefined)
    return [`handler: IDT gate ${vector} at ${address(gate.address)} ${broken}`];
  const target = `0x${gate.selector.toString(16)}:${addressWithSymbol(gate.offset, context.symbols)}`;
  const lines = [`handler: ${gate.type} gate ${vector} to ${target}`];
  const code = readDescriptor(context.machine, gate.selector);
  const fault = codeFault(context.machine, gate, code);
  if (fault !== undefined || typeof code === 'string')
    return [...lines, `code segment: ${fault ?? ''}`];
  return [...lines, ...stackLines(context, gate, code)];
}

function noGate(machine: MachineView, vector: number, what: 'outside' | 'unreadable'): string {
  const base = register(machine, 'idtr_base');
  const limit = register(machine, 'idtr_limit').toString(16);
  if (what === 'outside') {
    return `vector ${vector} lies beyond the IDT (base ${address(base)}, limit 0x${limit}): #GP`;
  }
  const place = base + BigInt(vector * (isLongMode(machine) ? 16 : 8));
  return `the IDT entry cannot be read: ${walkConclusion(place, explainWalk(machine, place))}: #PF`;
}

function gateFault(machine: MachineView, gate: Gate): string | undefined {
  if (gate.isEmpty) return 'is empty: nobody has installed a handler: #GP';
  if (typeof gate.type === 'number') return `has type ${gate.type}, which is no gate: #GP`;
  if (!gate.isPresent) return 'is not present: #NP';
  const isOdd = BigInt.asUintN(64, BigInt.asIntN(48, gate.offset)) !== gate.offset;
  return isLongMode(machine) && isOdd
    ? `points to ${address(gate.offset)}, not canonical: #GP`
    : undefined;
}

function codeFault(
  machine: MachineView,
  gate: Gate,
  code: ReturnType<typeof readDescriptor>,
): string | undefined {
  const selector = `selector 0x${gate.selector.toString(16)}`;
  if ((gate.selector & 0xfffc) === 0) return 'the gate names the null selector: #GP';
  if (code === 'outside') return `${selector} lies beyond its table: #GP`;
  if (code === 'unreadable') return `the descriptor of ${selector} is not mapped: #PF`;
  if (!code.isCodeOrData || (code.type & CODE_TYPE_BIT) === 0) {
    return `${selector} is ${descriptorType(code)}, not code: #GP`;
  }
  if (code.level > Number(register(machine, 'cpl'))) {
    return `${selector} has DPL ${code.level}, less privileged than the interrupted code: #GP`;
  }
  if (!code.isPresent) return `${selector} is not present: #NP`;
  if (isLongMode(machine) && (!code.isLong || code.isBig)) {
    return `${selector} is ${descriptorType(code)}; a handler must be 64-bit code: #GP`;
  }
  return undefined;
}

function stackLines(context: MonitorContext, gate: Gate, code: SegmentDescriptor): string[] {
  const { machine } = context;
  const { name, pointer } = handlerStack(machine, gate, code);
  if (pointer === undefined) return [`stack: ${name} lies beyond the TSS or cannot be read: #TS`];
  const place = addressWithSymbol(pointer, context.symbols);
  const top = BigInt.asUintN(64, (pointer & ~15n) - 8n);
  const bottom = BigInt.asUintN(64, (pointer & ~15n) - 8n * FRAME_QUADWORDS);
  for (const linear of [top, bottom]) {
    const walk = explainWalk(machine, linear);
    const isFine = walk.outcome === 'mapped' && (walk.isWritable || walk.mode === 'off');
    if (!isFine) {
      return [
        `stack: ${name} = ${place}; its frame cannot be pushed:`,
        walkConclusion(linear, walk),
      ];
    }
  }
  return [`stack: ${name} = ${place}, mapped and writable`, ...handlerCode(machine, gate)];
}

/** IST, the TSS's stack for the handler's level, or the present one. */
function handlerStack(
  machine: MachineView,
  gate: Gate,
  code: SegmentDescriptor,
): { name: string; pointer: bigint | undefined } {
  const cpl = Number(register(machine, 'cpl'));
  const isConforming = (code.type & CONFORMING_BIT) !== 0;
  const level = isConforming ? cpl : code.level;
  if (gate.stackTable !== 0) {
    const name = `IST${gate.stackTable}`;
    return { name, pointer: interruptStack(machine, gate.stackTable) };
  }
  if (level === cpl) return { name: 'the present rsp', pointer: register(machine, 'rsp') };
  return { name: `RSP${level} of the TSS`, pointer: stackOfLevel(machine, level) };
}

function handlerCode(machine: MachineView, gate: Gate): string[] {
  const walk = explainWalk(machine, gate.offset);
  if (walk.outcome === 'mapped' && !walk.isNoExecute) return ['the handler is entered'];
  const reason = walkConclusion(gate.offset, walk);
  return [`the handler is entered, but its first instruction cannot be fetched: ${reason}`];
}
