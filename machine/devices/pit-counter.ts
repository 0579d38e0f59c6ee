/**
 * One counter of the 8254 as a function of time (Intel 8254 datasheet, "Mode Definitions"): no
 * clock is simulated, value and output are computed from the clocks that have passed since the
 * count was loaded. All times here are PIT clocks since power-on; a count is loaded one clock after
 * it is written.
 */

export const ACCESS_LSB = 1;
export const ACCESS_MSB = 2;
export const ACCESS_WORD = 3;

export function powerOnCounter(mode: number, isGateHigh: boolean) {
  return {
    mode,
    isBcd: false,
    access: ACCESS_WORD,
    isGateHigh,
    /** The count in force, 1–65536 (10000 in BCD). */
    count: 0x1_0000,
    /** The clock at which it was loaded; null while the counter waits for a count or a trigger. */
    loadedAt: null as bigint | null,
    /** Clocks counted when a low gate froze the counter; null while it counts. */
    frozenAt: null as bigint | null,
    /** A count that modes 1, 2, 3 and 5 take at the next reload or trigger. */
    nextCount: null as number | null,
    /** The byte of a two-byte count that has been written. */
    lowByte: null as number | null,
    isHighByteNext: false,
    latchedCount: null as number | null,
    latchedStatus: null as number | null,
  };
}

/** What `restoreState` is to know of a counter. */
export const NULLABLE_OF_COUNTER = {
  loadedAt: 0n,
  frozenAt: 0n,
  nextCount: 1,
  lowByte: 0,
  latchedCount: 0,
  latchedStatus: 0,
};
export const RANGES_OF_COUNTER = {
  mode: [0, 5],
  access: [0, 3],
  count: [1, 0x1_0000],
  nextCount: [1, 0x1_0000],
  lowByte: [0, 0xff],
  latchedCount: [0, 0xffff],
  latchedStatus: [0, 0xff],
} as const;

export type Counter = ReturnType<typeof powerOnCounter>;

/** Control word bits 5–0: mode, access and BCD; counting stops until a count is written. */
export function writeControl(counter: Counter, control: number): void {
  const mode = (control >> 1) & 7;
  counter.mode = mode > 5 ? mode - 4 : mode;
  counter.access = (control >> 4) & 3;
  counter.isBcd = (control & 1) !== 0;
  counter.loadedAt = null;
  counter.frozenAt = null;
  counter.nextCount = null;
  counter.lowByte = null;
  counter.isHighByteNext = false;
  counter.latchedCount = null;
  counter.latchedStatus = null;
  counter.count = fullScale(counter);
}

/** One byte of a count, in the order that the access mode asks for. */
export function writeCountByte(counter: Counter, byte: number, clock: bigint): void {
  if (counter.access === ACCESS_LSB) {
    writeCount(counter, byte, clock);
    return;
  }
  if (counter.access === ACCESS_MSB) {
    writeCount(counter, byte << 8, clock);
    return;
  }
  if (counter.lowByte === null) {
    counter.lowByte = byte;
    // In mode 0 the first byte stops counting and OUT falls (datasheet, "Mode 0").
    if (counter.mode === 0) counter.loadedAt = null;
    return;
  }
  const count = (byte << 8) | counter.lowByte;
  counter.lowByte = null;
  writeCount(counter, count, clock);
}

function writeCount(counter: Counter, written: number, clock: bigint): void {
  const binary = counter.isBcd ? fromBcd(written) : written;
  const count = binary === 0 ? fullScale(counter) : binary;
  settle(counter, clock);
  const isCounting = counter.loadedAt !== null;
  if (counter.mode === 1 || counter.mode === 5 || (isCounting && isPeriodic(counter))) {
    if (counter.nextCount === null) beginPresentPeriod(counter, clock);
    counter.nextCount = count;
    return;
  }
  counter.count = count;
  counter.loadedAt = clock + 1n;
  counter.frozenAt = counter.isGateHigh ? null : 0n;
}

/** The next byte of the count or status that port reads give. */
export function readByte(counter: Counter, clock: bigint): number {
  if (counter.latchedStatus !== null) {
    const status = counter.latchedStatus;
    counter.latchedStatus = null;
    return status;
  }
  const value = counter.latchedCount ?? currentValue(counter, clock);
  const isHigh = counter.access === ACCESS_MSB || counter.isHighByteNext;
  if (counter.access === ACCESS_WORD) counter.isHighByteNext = !counter.isHighByteNext;
  if (!counter.isHighByteNext) counter.latchedCount = null;
  return isHigh ? value >> 8 : value & 0xff;
}

/** Counter latch command; a second one before the read is ignored. */
export function latchCount(counter: Counter, clock: bigint): void {
  counter.latchedCount ??= currentValue(counter, clock);
}

/** Read-back of the status byte: OUT, null count, access, mode, BCD. */
export function latchStatus(counter: Counter, clock: bigint): void {
  if (counter.latchedStatus !== null) return;
  settle(counter, clock);
  const isNull =
    counter.loadedAt === null || clock < counter.loadedAt || counter.nextCount !== null;
  counter.latchedStatus =
    (isOutHigh(counter, clock) ? 0x80 : 0) |
    (isNull ? 0x40 : 0) |
    (counter.access << 4) |
    (counter.mode << 1) |
    (counter.isBcd ? 1 : 0);
}

/** The GATE pin: freezes modes 0 and 4, stops and restarts 2 and 3, triggers 1 and 5. */
export function setGate(counter: Counter, isHigh: boolean, clock: bigint): void {
  if (isHigh === counter.isGateHigh) return;
  settle(counter, clock);
  counter.isGateHigh = isHigh;
  const { mode, loadedAt } = counter;
  if (mode === 1 || mode === 5) {
    if (isHigh && (loadedAt !== null || counter.nextCount !== null)) reload(counter, clock + 1n);
  } else if (loadedAt === null) {
    return;
  } else if (!isHigh) {
    counter.frozenAt = clock > loadedAt ? clock - loadedAt : 0n;
  } else if (isPeriodic(counter)) {
    counter.frozenAt = null;
    reload(counter, clock + 1n);
  } else {
    counter.loadedAt = clock - (counter.frozenAt ?? 0n);
    counter.frozenAt = null;
  }
}

/** Takes a waiting count into force if the period in which it was written has ended. */
export function settle(counter: Counter, clock: bigint): void {
  const { loadedAt, nextCount, count } = counter;
  if (nextCount === null || loadedAt === null || !isPeriodic(counter)) return;
  const end = loadedAt + BigInt(count);
  if (counter.frozenAt === null && clock >= end) reload(counter, end);
}

/** Level of the OUT pin. */
export function isOutHigh(counter: Counter, clock: bigint): boolean {
  settle(counter, clock);
  const { mode, loadedAt } = counter;
  if (loadedAt === null) return mode !== 0;
  const elapsed = elapsedClocks(counter, loadedAt, clock);
  const count = BigInt(counter.count);
  switch (mode) {
    case 0:
      return elapsed >= count;
    case 1:
      return elapsed < 0n || elapsed >= count;
    case 2:
      return counter.frozenAt !== null || elapsed < 0n || elapsed % count !== count - 1n;
    case 3:
      return counter.frozenAt !== null || elapsed < 0n || elapsed % count < (count + 1n) / 2n;
    default:
      return elapsed !== count;
  }
}

/**
 * The first clock after `clock` at which OUT can change, or undefined when it stays as it is until
 * the counter is programmed or its gate moves.
 */
export function nextTransition(counter: Counter, clock: bigint): bigint | undefined {
  settle(counter, clock);
  const { mode, loadedAt } = counter;
  if (loadedAt === null || counter.frozenAt !== null) return undefined;
  const count = BigInt(counter.count);
  const later = (candidates: readonly bigint[]): bigint | undefined =>
    candidates.find((candidate) => candidate > clock);
  if (mode === 0) return later([loadedAt + count]);
  if (mode === 1) return later([loadedAt, loadedAt + count]);
  if (!isPeriodic(counter)) return later([loadedAt + count, loadedAt + count + 1n]);
  const elapsed = clock - loadedAt;
  const start = elapsed < 0n ? loadedAt : clock - (elapsed % count);
  if (counter.count === 1) return counter.nextCount === null ? undefined : start + 1n;
  const middle = mode === 2 ? start + count - 1n : start + (count + 1n) / 2n;
  return later([middle, start + count]);
}

/** The value that a read or a latch sees, in the counter's own number system. */
function currentValue(counter: Counter, clock: bigint): number {
  settle(counter, clock);
  const { count, loadedAt } = counter;
  const scale = fullScale(counter);
  let value = count;
  if (loadedAt !== null) {
    const elapsed = elapsedClocks(counter, loadedAt, clock);
    if (elapsed >= 0n) value = valueAfter(counter, elapsed);
  }
  value = ((value % scale) + scale) % scale;
  return counter.isBcd ? toBcd(value) : value;
}

function valueAfter(counter: Counter, elapsed: bigint): number {
  const { count, mode } = counter;
  if (mode === 2) return count - Number(elapsed % BigInt(count));
  if (mode !== 3) return count - Number(elapsed % BigInt(fullScale(counter)));
  // Mode 3 counts down by two, twice per period; an odd count is loaded less one.
  const position = Number(elapsed % BigInt(count));
  const half = Math.ceil(count / 2);
  const even = count - (count % 2);
  return even - 2 * (position < half ? position : position - half);
}

function beginPresentPeriod(counter: Counter, clock: bigint): void {
  const { loadedAt } = counter;
  if (loadedAt === null || !isPeriodic(counter) || clock < loadedAt) return;
  counter.loadedAt = clock - ((clock - loadedAt) % BigInt(counter.count));
}

function reload(counter: Counter, clock: bigint): void {
  counter.count = counter.nextCount ?? counter.count;
  counter.nextCount = null;
  counter.loadedAt = clock;
}

function elapsedClocks(counter: Counter, loadedAt: bigint, clock: bigint): bigint {
  return counter.frozenAt ?? clock - loadedAt;
}

function isPeriodic(counter: Counter): boolean {
  return counter.mode === 2 || counter.mode === 3;
}

function fullScale(counter: Counter): number {
  return counter.isBcd ? 10_000 : 0x1_0000;
}

function fromBcd(bcd: number): number {
  return (bcd >> 12) * 1000 + ((bcd >> 8) & 15) * 100 + ((bcd >> 4) & 15) * 10 + (bcd & 15);
}

function toBcd(value: number): number {
  const digit = (unit: number): number => Math.floor(value / unit) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
