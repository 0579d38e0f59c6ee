/**
 * GDB manual, "Tracepoint Packets": what is to be collected where, told to the target (QT…) and told
 * back to a debugger that attaches later (qT…).
 */
import type { FieldReader } from '../rsp/field-reader.ts';
import { textToHex } from '../rsp/hex.ts';
import { reply, type Reply } from '../rsp/reply.ts';
import type {
  Awaitable,
  TargetTracepoints,
  TraceAction,
  TracepointDefinition,
  TracepointDescription,
  TracepointPlace,
  TraceVariable,
} from '../target/target.ts';
import type { PacketDefinition } from './definition.ts';
import type { PacketContext } from './packet-context.ts';
import {
  formatAction,
  formatExpression,
  readActions,
  readExpression,
} from './tracepoints-actions.ts';
import { defineTracepointPacket, readNumberAndAddress, readPlace } from './tracepoints-packet.ts';

const MOST_COUNT = 0x7fff_ffff;
const MOST_VARIABLE = 0xffff;
/** The last piece of a list. */
const END = 'l';

/** `ena:step:pass[:Xlen,bytes]`; whether actions follow in other packets is said by a `-`. */
function readDefinition(
  fields: FieldReader,
  place: TracepointPlace,
): { readonly definition: TracepointDefinition; readonly isWhole: boolean } {
  fields.expect(':');
  const isEnabled = fields.accepts('E');
  if (!isEnabled) fields.expect('D');
  fields.expect(':');
  const stepCount = fields.length(MOST_COUNT);
  fields.expect(':');
  const passCount = fields.length(MOST_COUNT);
  const condition = readCondition(fields);
  const isWhole = !fields.accepts('-');
  fields.end();
  const ifMet = condition === undefined ? {} : { condition };
  return { definition: { ...place, isEnabled, stepCount, passCount, ...ifMet }, isWhole };
}

function readCondition(fields: FieldReader): Uint8Array | undefined {
  if (!fields.accepts(':')) return undefined;
  if (fields.accepts('F')) fields.fail('fast tracepoints are not offered');
  if (fields.accepts('S')) fields.fail('static tracepoints are not offered');
  fields.expect('X');
  return readExpression(fields);
}

function hex(value: number | bigint): string {
  return value.toString(16);
}

/**
 * The pieces of qTfP and qTsP: the tracepoint and the text it was made from. Actions in bytecode only
 * where there is no text: gdb takes the text if it is there, and each piece is a round trip at attach.
 */
function* piecesOf({ definition, actions, sources }: TracepointDescription): Iterable<string> {
  const { number, address, isEnabled, stepCount, passCount, condition } = definition;
  const place = `${hex(number)}:${hex(address)}`;
  const ifMet = condition === undefined ? '' : `:${formatExpression(condition)}`;
  const state = isEnabled ? 'E' : 'D';
  yield `T${place}:${state}:${hex(stepCount)}:${hex(passCount)}${ifMet}`;
  if (!sources.some(({ type }) => type === 'cmd')) yield* actionPieces(place, actions);
  for (const { type, text } of sources) {
    const bytes = textToHex(text);
    yield `Z${place}:${type}:0:${hex(bytes.length / 2)}:${bytes}`;
  }
}

function* actionPieces(place: string, actions: readonly TraceAction[]): Iterable<string> {
  let letter = 'A';
  for (const action of actions) {
    if (action.kind === 'while-stepping') letter = 'S';
    else yield `${letter}${place}:${formatAction(action)}`;
  }
}

function variablePiece({ number, initialValue, name }: TraceVariable): string {
  const value = BigInt.asUintN(64, initialValue);
  return `${hex(number)}:${hex(value)}:0:${textToHex(name)}`;
}

interface PieceList {
  /** The packet that makes the list and names its first piece, and the one for each further piece. */
  readonly names: readonly [string, string];
  readonly purpose: string;
  /** Where the session keeps what has still to be named. */
  readonly holding: 'tracepointPieces' | 'variablePieces';
  readonly pieces: (tracepoints: TargetTracepoints) => Awaitable<readonly string[]>;
}

function defineList({ names, purpose, holding, pieces }: PieceList): PacketDefinition[] {
  const next = ({ holdings }: PacketContext): Reply => {
    const [piece = END, ...others] = holdings[holding];
    holdings[holding] = others;
    return reply.text(piece);
  };
  const [first, further] = names;
  return [
    defineTracepointPacket({
      name: first,
      syntax: first,
      purpose,
      async handle(fields, tracepoints, context) {
        fields.end();
        context.holdings[holding] = await pieces(tracepoints);
        return next(context);
      },
    }),
    defineTracepointPacket({
      name: further,
      syntax: further,
      purpose: `the next piece of ${first}`,
      handle(fields, _tracepoints, context) {
        fields.end();
        return next(context);
      },
    }),
  ];
}

export const definitionPackets: readonly PacketDefinition[] = [
  defineTracepointPacket({
    name: 'QTDP',
    syntax: 'QTDP:n:addr:ena:step:pass[:Xlen,expr…][-]',
    purpose: 'define a tracepoint; QTDP:-n:addr:action… gives it actions R, M, X and S',
    announcement: 'ConditionalTracepoints+;tracenz+;InstallInTrace+',
    async handle(fields, tracepoints) {
      fields.expect(':');
      const isMore = fields.accepts('-');
      const place = readNumberAndAddress(fields);
      if (!isMore) {
        const { definition, isWhole } = readDefinition(fields, place);
        await tracepoints.define(definition);
        if (isWhole) await tracepoints.complete(place);
        return reply.ok;
      }
      fields.expect(':');
      const { actions, isWhole } = readActions(fields);
      await tracepoints.addActions(place, actions);
      if (isWhole) await tracepoints.complete(place);
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'QTDPsrc',
    syntax: 'QTDPsrc:n:addr:type:start:slen:bytes',
    purpose: 'the text that a tracepoint was made from, for who uploads it later',
    announcement: 'TracepointSource+',
    async handle(fields, tracepoints) {
      const place = readPlace(fields);
      fields.expect(':');
      const type = fields.textUntil(':');
      if (!/^[a-z]{1,16}$/.test(type)) fields.fail('a type of source expected');
      fields.expect(':');
      fields.length();
      fields.expect(':');
      fields.length();
      fields.expect(':');
      const text = fields.hexText();
      fields.end();
      await tracepoints.addSource(place, { type, text });
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'QTDV',
    syntax: 'QTDV:n:value:builtin:name',
    purpose: 'define a trace state variable (gdb: tvariable)',
    announcement: 'TraceStateVariables+',
    async handle(fields, tracepoints) {
      fields.expect(':');
      const number = fields.length(MOST_VARIABLE);
      fields.expect(':');
      const initialValue = BigInt.asIntN(64, fields.hex());
      fields.expect(':');
      if (fields.length(1) === 1) fields.fail('there are no built-in variables');
      fields.expect(':');
      const name = fields.hexText();
      fields.end();
      if (name.length > 256) fields.fail('a shorter name expected');
      await tracepoints.defineVariable({ number, initialValue, name });
      return reply.ok;
    },
  }),
  defineTracepointPacket({
    name: 'QTro',
    syntax: 'QTro[:start,end]…',
    purpose: 'regions that do not change: frames show them without having collected them',
    async handle(fields, tracepoints) {
      const regions: { start: bigint; end: bigint }[] = [];
      while (fields.accepts(':')) {
        const start = fields.hex();
        fields.expect(',');
        regions.push({ start, end: fields.hex() });
      }
      fields.end();
      await tracepoints.setReadOnly(regions);
      return reply.ok;
    },
  }),
  ...(['QTEnable', 'QTDisable'] as const).map((name) =>
    defineTracepointPacket({
      name,
      syntax: `${name}:n:addr`,
      purpose: `${name === 'QTEnable' ? 'enable' : 'disable'} a tracepoint, also while a trace runs`,
      ...(name === 'QTEnable' ? { announcement: 'EnableDisableTracepoints+' } : {}),
      async handle(fields, tracepoints) {
        const place = readPlace(fields);
        fields.end();
        await tracepoints.setEnabled(place, name === 'QTEnable');
        return reply.ok;
      },
    }),
  ),
  ...defineList({
    names: ['qTfP', 'qTsP'],
    purpose: 'the tracepoints of the target, piece by piece: the first',
    holding: 'tracepointPieces',
    pieces: async (tracepoints) =>
      (await tracepoints.describe()).flatMap((each) => [...piecesOf(each)]),
  }),
  ...defineList({
    names: ['qTfV', 'qTsV'],
    purpose: 'the trace state variables of the target: the first',
    holding: 'variablePieces',
    // gdb creates what it uploads from the last to the first, and numbers it anew.
    pieces: async (tracepoints) => (await tracepoints.variables()).map(variablePiece).reverse(),
  }),
  ...(['qTfSTM', 'qTsSTM'] as const).map((name) =>
    defineTracepointPacket({
      name,
      syntax: name,
      purpose: 'markers for static tracepoints: none',
      handle(fields) {
        fields.end();
        return reply.text(END);
      },
    }),
  ),
  defineTracepointPacket({
    name: 'qTMinFTPILen',
    syntax: 'qTMinFTPILen',
    purpose: 'the least length of an instruction for a fast tracepoint: not known, there are none',
    handle(fields) {
      fields.end();
      return reply.text('0');
    },
  }),
];
