/**
 * From plain values, as a file brings them, to the state of a machine: every place is checked for being
 * what it should be. What CPU, devices and TLB can make no sense of they refuse themselves.
 */
import type { SavedClock } from '../clock/event-queue.ts';
import type { DeviceState } from '../devices/device-state.ts';
import type { StateValue } from '../devices/device.ts';
import { MOST_FETCH_ENTRIES } from '../memory/fetch-tlb.ts';
import type {
  SavedFetchTlb,
  SavedTlb,
  SavedTlbEntry,
  SavedTranslations,
} from '../memory/saved-translations.ts';
import { MOST_REGIONS } from '../memory/tlb.ts';
import { TLB_FILLED_LIMIT } from '../state/layout.ts';
import type { WatchKind } from '../stop-reason.ts';
import type { CoreState, SavedCpu, SavedDevice } from './machine-state.ts';
import { StateError } from './state-error.ts';

/** Devices have an event or two each. */
const MOST_EVENTS = 100;
const MOST_DEVICES = 100;
const MOST_HITS = 10_000;
/** Of 4 KiB in 2 GiB. */
const MOST_PAGES = 2 ** 19;
const MOST_TICKS = 1n << 72n;

/** Throws `StateError`, one line that names the place. */
export function checkedCore(value: StateValue): CoreState {
  const core = record(value, 'state');
  return {
    memoryBytes: integer(core['memoryBytes'], 'memoryBytes'),
    cpu: record(core['cpu'], 'cpu') as SavedCpu,
    isHalted: flag(core['isHalted'], 'isHalted'),
    clock: clockOf(record(core['clock'], 'clock')),
    devices: list(core['devices'], 'devices', MOST_DEVICES).map(deviceOf),
    translations: translationsOf(record(core['translations'], 'translations')),
  };
}

function clockOf(clock: DeviceState): SavedClock {
  return {
    skippedTicks: ticks(clock['skippedTicks'], 'clock'),
    nextOrder: integer(clock['nextOrder'], 'clock'),
    events: list(clock['events'], 'clock', MOST_EVENTS).map((item) => {
      const event = record(item, 'clock');
      return {
        name: text(event['name'], 'clock'),
        at: ticks(event['at'], 'clock'),
        order: integer(event['order'], 'clock'),
      };
    }),
  };
}

function deviceOf(value: StateValue): SavedDevice {
  const device = record(value, 'devices');
  const name = text(device['name'], 'devices');
  const state = record(device['state'], name);
  return { name, version: integer(device['version'], name), state };
}

function translationsOf({ tlb, fetches, codePages, watchHits }: DeviceState): SavedTranslations {
  return {
    tlb: tlbOf(record(tlb, 'tlb')),
    fetches: fetchTlbOf(record(fetches, 'fetches')),
    codePages: list(codePages, 'code pages', MOST_PAGES).map((item) => integer(item, 'code pages')),
    watchHits: list(watchHits, 'watch hits', MOST_HITS).map((item) => {
      const hit = record(item, 'watch hits');
      const address = ticks(hit['address'], 'watch hits');
      const watch = text(hit['watch'], 'watch hits');
      const register = integer(hit['register'], 'watch hits');
      const isKnown = watch === 'write' || watch === 'access' || watch === 'read';
      if (!isKnown || register > 3) throw new StateError('watch hits: of no debug register');
      return { address, watch: watch satisfies WatchKind, register };
    }),
  };
}

function tlbOf(tlb: DeviceState): SavedTlb {
  const numbers = (value: StateValue | undefined, most: number): number[] =>
    list(value, 'tlb', most).map((item) => integer(item, 'tlb'));
  return {
    filled: numbers(tlb['filled'], TLB_FILLED_LIMIT),
    entries: list(tlb['entries'], 'tlb', TLB_FILLED_LIMIT).map((item): SavedTlbEntry => {
      const [slot, low, high, frame, ...rest] = numbers(item, 4);
      if (frame === undefined || rest.length > 0) throw new StateError('tlb: half an entry');
      return [slot!, low!, high!, frame];
    }),
    large: regions(tlb['large']),
    huge: regions(tlb['huge']),
  };
}

function fetchTlbOf(tlb: DeviceState): SavedFetchTlb {
  const entries = (value: StateValue | undefined): SavedFetchTlb['user'] =>
    list(value, 'fetches', MOST_FETCH_ENTRIES).map((item) => {
      const [page, frame] = list(item, 'fetches', 2);
      return [safeInteger(page, 'fetches'), safeInteger(frame, 'fetches')];
    });
  return {
    supervisor: entries(tlb['supervisor']),
    user: entries(tlb['user']),
    large: regions(tlb['large']),
    huge: regions(tlb['huge']),
  };
}

/** Numbers of 2 MiB and 1 GiB pieces of the linear address space. */
function regions(value: StateValue | undefined): number[] {
  return list(value, 'tlb', MOST_REGIONS).map((item) => safeInteger(item, 'tlb'));
}

/** The number of a page: 52 bits. */
function safeInteger(value: StateValue | undefined, place: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new StateError(`${place}: the number of a page expected`);
}

function record(value: StateValue | undefined, place: string): DeviceState {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as DeviceState;
  }
  throw new StateError(`${place}: fields expected`);
}

function list(value: StateValue | undefined, place: string, most: number): readonly StateValue[] {
  const isList = Array.isArray(value) && value.length <= most;
  if (!isList) throw new StateError(`${place}: a list of at most ${most} expected`);
  return value as readonly StateValue[];
}

function integer(value: StateValue | undefined, place: string): number {
  if (typeof value === 'number' && value >>> 0 === value) return value;
  throw new StateError(`${place}: a number of 32 bits expected`);
}

function ticks(value: StateValue | undefined, place: string): bigint {
  if (typeof value === 'bigint' && value >= 0n && value < MOST_TICKS) return value;
  throw new StateError(`${place}: a count expected`);
}

function text(value: StateValue | undefined, place: string): string {
  if (typeof value === 'string' && value.length <= 100) return value;
  throw new StateError(`${place}: a name expected`);
}

function flag(value: StateValue | undefined, place: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new StateError(`${place}: true or false expected`);
}
