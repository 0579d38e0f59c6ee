/** What `break-if` and `watch-if` have in common: adding, the list, deleting. */
import { AgentError } from '../agent/agent-error.ts';
import type {
  ConditionalPlace,
  ConditionalStop,
  ConditionalStops,
} from '../target/conditional-stops.ts';
import { BREAKPOINT_KIND } from '../target/target.ts';
import { addressWithSymbol, table } from './format.ts';
import { MonitorError, parseCount, type MonitorContext } from './monitor-command.ts';

const KIND_NAMES = {
  [BREAKPOINT_KIND.software]: 'break',
  [BREAKPOINT_KIND.write]: 'write',
  [BREAKPOINT_KIND.read]: 'read',
  [BREAKPOINT_KIND.access]: 'access',
} as const;

export const CONDITION_HELP = [
  'CONDITION is as in C: numbers, registers (rdi, eax, ret_rsp, icount, guest_pid, cpl), symbols, memory',
  "by *(u32*)(rsp + 8) or u32[rsp + 8] (u8 to u64, i8 to i64, C's own types), all operators but =, ?: and",
  'calls. A variable of 1 to 8 bytes stands for its value, a function and &NAME for an address. Values',
  'are unsigned unless converted: (i64)rax < 0. It is asked inside the machine; while it is false, the',
  "machine runs on. One that cannot be evaluated stops. These are the server's own: they stay when the",
  'debugger leaves, until they are deleted by number (`delete N`, `delete all`), and show without arguments.',
  'A machine that nobody debugs waits where it has stopped for somebody who attaches; `why` tells him.',
] as const;

/** Undefined: the arguments are about a new one. */
export function listOrDelete(
  context: MonitorContext,
  args: readonly string[],
  syntax: string,
): string | undefined {
  const stops = stopsOf(context);
  const [first, second] = args;
  if (first === undefined) return listOf(stops.list, context);
  if (first !== 'delete') return undefined;
  if (second === undefined || args.length > 2) throw new MonitorError(`usage: ${syntax}`);
  return second === 'all' ? deleteAll(stops) : deleteOne(stops, parseCount(second, 'N'));
}

export function addStop(context: MonitorContext, place: ConditionalPlace, text: string): string {
  try {
    const added = stopsOf(context).add(place, text);
    return `${added.number}: ${placeOf(added, context)} when ${added.condition}`;
  } catch (error) {
    if (error instanceof AgentError) throw new MonitorError(error.message);
    throw error;
  }
}

function stopsOf({ conditionalStops }: MonitorContext): ConditionalStops {
  if (conditionalStops === undefined) throw new MonitorError('this machine takes no conditions');
  return conditionalStops;
}

function listOf(stops: readonly ConditionalStop[], context: MonitorContext): string {
  if (stops.length === 0) return 'no conditional breakpoints or watchpoints';
  const rows = stops.map((stop) => [
    String(stop.number),
    placeOf(stop, context),
    stop.condition,
    String(stop.stops),
  ]);
  return table(['>number', 'stops at', 'when', '>stopped'], rows);
}

function placeOf(stop: ConditionalPlace, { symbols }: MonitorContext): string {
  const place = addressWithSymbol(stop.address, symbols);
  const name = KIND_NAMES[stop.kind];
  return name === 'break' ? place : `${name} of ${stop.lengthBytes} at ${place}`;
}

function deleteAll(stops: ConditionalStops): string {
  const numbers = stops.list.map(({ number }) => number);
  for (const number of numbers) stops.remove(number);
  return numbers.length === 0 ? 'there was none' : `deleted ${numbers.join(', ')}`;
}

function deleteOne(stops: ConditionalStops, number: number): string {
  if (!stops.remove(number)) throw new MonitorError(`there is no number ${number}`);
  return `deleted ${number}`;
}
