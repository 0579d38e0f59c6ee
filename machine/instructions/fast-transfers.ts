/**
 * The common cases of entering and leaving the kernel in 64-bit mode, and of opening it to interrupts
 * again, as generated code: INT n and exceptions, IRETQ, SYSCALL, SYSRETQ, POPFQ, STI. The rules, all of them, are in machine/cpu/; what is here holds
 * when descriptors are 64-bit code and plain data with the accessed bit set, the TLB has what is
 * needed, and neither TF, NT, AC nor an interrupt that waits wants a look. Anything else goes the
 * other way before anything has changed (Intel SDM 3A §6.14, 5.8.8; 2A "IRET").
 */
import type { Condition, Flag, Operations, Value } from './operations.ts';
import { rflags } from './packed-flags.ts';

const FLAG_BITS: readonly (readonly [Flag, number])[] = [
  ['PF', 2], ['AF', 4], ['ZF', 6], ['SF', 7], ['CF', 0], ['OF', 11],
]; // prettier-ignore

const TF = 1n << 8n;
const IF = 1n << 9n;
const DF = 1n << 10n;
const IOPL = 3n << 12n;
const NT = 1n << 14n;
const RF = 1n << 16n;
const VM = 1n << 17n;
const AC = 1n << 18n;
const VIF = 1n << 19n;
const VIP = 1n << 20n;
const ID = 1n << 21n;
/** Flags that make a return uncommon, set before or after it. RF stays as it is without DR7's help. */
const UNCOMMON = TF | NT | VM | AC | VIF | VIP;
/** Of the rest, those that RFLAGS keeps apart from the arithmetic ones. */
const COMMON_SYSTEM_FLAGS = IF | DF | IOPL | ID;

/* Descriptor bits 40–55, as state/fields.ts keeps them: cpu/segment-attributes.ts names them. */
const ATTRIBUTES = 0xf0ffn;
/** Type, S, P, L and D/B of 64-bit code that does not conform and has been accessed. */
const CODE_MASK = 0x609dn;
const CODE_64 = 0x2099n;
/** Writable data that has been accessed: type (direction may be either), S, P. */
const DATA_MASK = 0x9bn;
const DATA = 0x93n;
const GRANULAR = 0x8000n;

const SEGMENTS_TO_DROP = ['es', 'ds', 'fs', 'gs'] as const;

const c64 = (o: Operations, value: bigint | number): Value => o.constant(value, 64);
const field64 = (o: Operations, name: string): Value => o.zeroExtend(o.readField(name), 64);

/** A debugger wants to hear of it: then it is the machine's (cpu/transfer-watch.ts). */
function isUnwatched(o: Operations): Condition {
  return o.isZero(o.readField('watchedTransfers'));
}

function all(o: Operations, ...conditions: Condition[]): Condition {
  return conditions.reduce((left, right) => o.both(left, right));
}

/** (value >> shift) & mask */
function bits(o: Operations, value: Value, shift: number, mask: bigint | number): Value {
  const moved = shift === 0 ? value : o.shiftRight(value, o.constant(shift, 8));
  return o.and(moved, c64(o, mask));
}

function is(o: Operations, value: Value, expected: bigint | number): Condition {
  return o.equal(value, c64(o, expected));
}

function isCanonical(o: Operations, address: Value): Condition {
  const unused = o.constant(16, 8);
  return o.equal(o.shiftRightSigned(o.shiftLeft(address, unused), unused), address);
}

/** A descriptor of the GDT, taken apart. */
interface Descriptor {
  readonly selector: Value;
  readonly isThere: Condition;
  readonly attributes: Value;
  readonly level: Value;
  readonly limit: Value;
  readonly base: Value;
}

function readDescriptor(o: Operations, selector: Value): Descriptor {
  const offset = o.and(selector, c64(o, 0xfff8));
  const place = o.locate(o.add(o.readField('gdtrBase'), offset), 8, 'read', 'system');
  const raw = o.loadLocated(place, 0, 64);
  const isInTable = o.lessUnsigned(o.add(offset, c64(o, 7)), o.add(field64(o, 'gdtrLimit'), c64(o, 1))); // prettier-ignore
  const isGlobal = o.isZero(o.and(selector, c64(o, 4)));
  const isNotNull = o.negated(o.isZero(offset));
  const attributes = bits(o, raw, 40, ATTRIBUTES);
  const limit = o.or(bits(o, raw, 0, 0xffff), bits(o, raw, 32, 0xf0000));
  const pages = o.or(o.shiftLeft(limit, o.constant(12, 8)), c64(o, 0xfff));
  const isGranular = o.negated(o.isZero(o.and(attributes, c64(o, GRANULAR))));
  return {
    selector,
    isThere: all(o, o.isLocated(place), isInTable, isGlobal, isNotNull),
    attributes,
    level: bits(o, attributes, 5, 3),
    limit: o.select(isGranular, pages, limit),
    base: o.or(bits(o, raw, 16, 0xff_ffff), bits(o, raw, 32, 0xff00_0000)),
  };
}

function isCode64(o: Operations, { attributes, isThere }: Descriptor): Condition {
  return o.both(isThere, is(o, o.and(attributes, c64(o, CODE_MASK)), CODE_64));
}

function writeSegment(
  o: Operations,
  name: 'cs' | 'ss',
  contents: { selector: Value; base: Value; limit: Value; attributes: Value },
): void {
  o.writeField(`${name}Selector`, o.truncate(contents.selector, 32));
  o.writeField(`${name}Base`, contents.base);
  o.writeField(`${name}Limit`, o.truncate(contents.limit, 32));
  o.writeField(`${name}Attributes`, o.truncate(contents.attributes, 32));
}

function loadCode(o: Operations, code: Descriptor, level: Value): void {
  const selector = o.or(o.and(code.selector, c64(o, 0xfffc)), level);
  writeSegment(o, 'cs', { ...code, selector, base: c64(o, 0) });
  o.setPrivilegeLevel(o.truncate(level, 32));
}

/** The arithmetic flags from a word in RFLAGS's order. */
function setArithmeticFlags(o: Operations, word: Value): void {
  for (const [flag, bit] of FLAG_BITS) o.setFlag(flag, o.bit(word, bit));
}

function systemFlags(o: Operations, value: bigint): Value {
  return o.and(o.readField('rflagsSystem'), c64(o, value));
}

export interface HandlerEvent {
  /** 64 bits, 0 to 255. */
  readonly vector: Value;
  /** 64 bits, and whether it is pushed; undefined for none. */
  readonly errorCode?: { readonly value: Value; readonly isPushed: Condition };
  readonly returnRip: Value;
  /** INT n: the gate's DPL counts. */
  readonly isSoftware: boolean;
  /** Done when the handler is entered for certain. */
  before?(): void;
  /** RF is pushed set if this holds. */
  readonly resumes?: Condition;
}

/** Enters an interrupt's handler at level 0 by a 64-bit gate without IST, or calls `otherwise`. */
export function enterHandler(o: Operations, event: HandlerEvent, otherwise: () => void): void {
  const cpl = field64(o, 'cpl');
  const offset = o.shiftLeft(event.vector, o.constant(4, 8));
  const table = o.locate(o.add(o.readField('idtrBase'), offset), 16, 'read', 'system');
  const low = o.loadLocated(table, 0, 64);
  const high = o.loadLocated(table, 8, 32);
  const type = bits(o, low, 40, 0x9f);
  const isGate = o.either(is(o, type, 0x8e), is(o, type, 0x8f));
  const isAllowed = event.isSoftware
    ? o.negated(o.lessUnsigned(bits(o, low, 45, 3), cpl))
    : o.always(true);
  const isInTable = o.lessUnsigned(o.add(offset, c64(o, 15)), o.add(field64(o, 'idtrLimit'), c64(o, 1))); // prettier-ignore
  const isInner = o.negated(o.isZero(cpl));
  const task = o.locate(o.add(o.readField('trBase'), c64(o, 4)), 8, 'read', 'system');
  const hasTask = o.both(o.isLocated(task), o.lessUnsigned(c64(o, 11), o.add(field64(o, 'trLimit'), c64(o, 1)))); // prettier-ignore
  const inner = o.loadLocated(task, 0, 64);
  const rsp = o.readRegister('rsp', 64);
  const pointer = o.select(isInner, inner, rsp);
  const code = readDescriptor(o, bits(o, low, 16, 0xffff));
  const target = o.or(
    o.or(bits(o, low, 0, 0xffff), bits(o, low, 32, 0xffff_0000)),
    o.shiftLeft(o.zeroExtend(high, 64), o.constant(32, 8)),
  );
  const hasErrorCode = event.errorCode?.isPushed ?? o.always(false);
  const errorBytes = o.select(hasErrorCode, c64(o, 8), c64(o, 0));
  const top = o.subtract(o.and(pointer, c64(o, ~15n)), o.add(errorBytes, c64(o, 40)));
  // One slot more than may be needed, so that one look serves both forms of the frame.
  const frame = o.locate(o.subtract(top, o.subtract(c64(o, 8), errorBytes)), 48, 'write', 'kernel');
  const isCommon = all(
    o,
    isUnwatched(o),
    o.isZero(systemFlags(o, TF)),
    o.isLocated(table),
    isInTable,
    isGate,
    isAllowed,
    is(o, bits(o, low, 32, 7), 0),
    isCode64(o, code),
    o.isZero(code.level),
    o.either(o.negated(isInner), o.both(hasTask, isCanonical(o, inner))),
    isCanonical(o, target),
    o.isLocated(frame),
  );
  o.when(
    isCommon,
    () => {
      event.before?.();
      const flags = rflags(o);
      const resumed = event.resumes === undefined ? flags : o.select(event.resumes, o.or(flags, c64(o, RF)), flags); // prettier-ignore
      // Without an error code the frame's lowest slot is below it: what is there stays.
      if (event.errorCode !== undefined) {
        const below = o.loadLocated(frame, 0, 64);
        o.storeLocated(frame, 0, o.select(hasErrorCode, event.errorCode.value, below));
      }
      o.storeLocated(frame, 8, event.returnRip);
      o.storeLocated(frame, 16, field64(o, 'csSelector'));
      o.storeLocated(frame, 24, resumed);
      o.storeLocated(frame, 32, rsp);
      o.storeLocated(frame, 40, field64(o, 'ssSelector'));
      const kept = ~(TF | NT | RF | VM);
      const isInterruptGate = is(o, type, 0x8e);
      const mask = o.select(isInterruptGate, c64(o, kept & ~IF), c64(o, kept));
      o.writeField('rflagsSystem', o.and(o.readField('rflagsSystem'), mask));
      o.when(isInner, () => {
        const none = c64(o, 0);
        writeSegment(o, 'ss', { selector: none, base: none, limit: none, attributes: none });
      });
      o.writeRegister('rsp', top);
      loadCode(o, code, c64(o, 0));
      o.jump(target);
    },
    otherwise,
  );
}

/** Vectors of faults whose handler returns to the instruction: RF is pushed set (SDM 3B §17.3.1.1). */
const RESUMING = [0, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19];
const PAGE_FAULT = 14;

/** The exception in the state (faultVector and companions), raised by the present instruction. */
export function deliverException(o: Operations, otherwise: () => void): void {
  const vector = field64(o, 'faultVector');
  const mask = RESUMING.reduce((word, number) => word | (1n << BigInt(number)), 0n);
  const isCommon = all(
    o,
    o.isZero(o.readField('exitRequest')),
    o.isZero(o.and(o.readField('dr7'), c64(o, 0xff))),
  );
  const event: HandlerEvent = {
    vector,
    errorCode: {
      value: field64(o, 'faultErrorCode'),
      isPushed: o.negated(o.isZero(o.readField('faultHasErrorCode'))),
    },
    returnRip: o.ownRip(),
    isSoftware: false,
    resumes: o.bit(c64(o, mask), vector),
    before() {
      const isPageFault = is(o, vector, PAGE_FAULT);
      const address = o.readField('faultAddress');
      o.writeField('cr2', o.select(isPageFault, address, o.readField('cr2')));
    },
  };
  o.when(isCommon, () => enterHandler(o, event, otherwise), otherwise);
}

/** IRETQ from level 0 to 64-bit code of any level. */
export function returnFromHandler(o: Operations, otherwise: () => void): void {
  const frame = o.locate(o.readRegister('rsp', 64), 40, 'read', 'present');
  const [rip, cs, flags, rsp, ss] = [0, 8, 16, 24, 32].map((at) => o.loadLocated(frame, at, 64));
  const selector = o.and(cs!, c64(o, 0xffff));
  const code = readDescriptor(o, selector);
  const level = o.and(selector, c64(o, 3));
  const stackSelector = o.and(ss!, c64(o, 0xffff));
  const stack = readDescriptor(o, stackSelector);
  const isNullStack = o.isZero(o.and(stackSelector, c64(o, 0xfffc)));
  const isStackLevelRight = o.equal(o.and(stackSelector, c64(o, 3)), level);
  const isData = o.both(stack.isThere, is(o, o.and(stack.attributes, c64(o, DATA_MASK)), DATA));
  const isStackRight = o.select(
    isNullStack,
    o.fromCondition(o.negated(is(o, level, 3)), 64),
    o.fromCondition(o.both(isData, o.equal(stack.level, level)), 64),
  );
  const goesOut = o.negated(o.isZero(level));
  const isCommon = all(
    o,
    isUnwatched(o),
    o.isLocated(frame),
    isCode64(o, code),
    o.equal(code.level, level),
    isStackLevelRight,
    o.negated(o.isZero(isStackRight)),
    isCanonical(o, rip!),
    o.isZero(o.and(o.or(flags!, o.readField('rflagsSystem')), c64(o, UNCOMMON))),
    o.isZero(o.and(o.readField('dr7'), c64(o, 0xff))),
    mayTurnOn(o, flags!),
    o.either(o.negated(goesOut), areSegmentsOf(o, level)),
  );
  o.when(
    isCommon,
    () => {
      const none = c64(o, 0);
      const pick = (value: Value): Value => o.select(isNullStack, none, value);
      loadCode(o, code, level);
      writeSegment(o, 'ss', {
        selector: stackSelector,
        base: pick(stack.base),
        limit: pick(stack.limit),
        attributes: pick(stack.attributes),
      });
      restoreFlags(o, flags!);
      o.writeRegister('rsp', rsp!);
      o.jump(rip!);
    },
    otherwise,
  );
}

/** IF may be set if it is set already or nothing waits for it. */
function mayTurnOn(o: Operations, flags: Value): Condition {
  const stays = o.negated(o.isZero(systemFlags(o, IF)));
  const isOff = o.isZero(o.and(flags, c64(o, IF)));
  return o.either(o.either(stays, isOff), o.isZero(o.readField('interruptPending')));
}

/** No data segment would have to be taken away at an outer level. */
function areSegmentsOf(o: Operations, level: Value): Condition {
  const each = SEGMENTS_TO_DROP.map((name) => {
    const isNull = o.isZero(o.and(field64(o, `${name}Selector`), c64(o, 0xfffc)));
    const own = bits(o, field64(o, `${name}Attributes`), 5, 3);
    return o.either(isNull, o.negated(o.lessUnsigned(own, level)));
  });
  return all(o, ...each);
}

/** POPFQ at CPL 0: it keeps no RF, so that only a state without it is common. */
export function popFlags(o: Operations, flags: Value, otherwise: () => void): void {
  const isCommon = all(
    o,
    o.isZero(o.and(o.or(flags, o.readField('rflagsSystem')), c64(o, UNCOMMON))),
    o.isZero(systemFlags(o, RF)),
    mayTurnOn(o, flags),
  );
  o.when(
    isCommon,
    () => {
      restoreFlags(o, flags);
      o.writeRegister('rsp', o.add(o.readRegister('rsp', 64), c64(o, 8)));
      o.jump(o.nextRip());
    },
    otherwise,
  );
}

/** STI at CPL 0. If IF was 0, interrupts stay inhibited for one instruction. */
export function setInterruptFlag(o: Operations, otherwise: () => void): void {
  const isSet = o.negated(o.isZero(systemFlags(o, IF)));
  o.when(
    o.either(isSet, o.isZero(o.readField('interruptPending'))),
    () => {
      const next = o.add(o.retired(), c64(o, 1));
      o.writeField('shadowIcount', o.select(isSet, o.readField('shadowIcount'), next));
      o.writeField('rflagsSystem', o.or(o.readField('rflagsSystem'), c64(o, IF)));
      o.jump(o.nextRip());
    },
    otherwise,
  );
}

/** At CPL 0, with nothing uncommon in the flags. */
function restoreFlags(o: Operations, flags: Value): void {
  const kept = systemFlags(o, ~COMMON_SYSTEM_FLAGS);
  const popped = o.and(flags, c64(o, COMMON_SYSTEM_FLAGS));
  o.writeField('rflagsSystem', o.or(kept, popped));
  setArithmeticFlags(o, flags);
}

/* What SYSCALL and SYSRET load without looking at a table (cpu/segment-attributes.ts). */
const FLAT_CODE_64 = 0xa09bn;
const FLAT_DATA = 0xc093n;
const FLAT_LIMIT = 0xffff_ffffn;

function loadFlat(o: Operations, code: Value, stack: Value, level: 0 | 3): void {
  const privilege = BigInt(level << 5);
  const with3 = (selector: Value): Value => o.or(o.and(selector, c64(o, 0xfffc)), c64(o, level));
  const flat = { base: c64(o, 0), limit: c64(o, FLAT_LIMIT) };
  const attributes = c64(o, FLAT_CODE_64 | privilege);
  writeSegment(o, 'cs', { ...flat, selector: with3(code), attributes });
  writeSegment(o, 'ss', {
    ...flat,
    selector: with3(stack),
    attributes: c64(o, FLAT_DATA | privilege),
  });
  o.setPrivilegeLevel(o.constant(level, 32));
}

const isSystemCallEnabled = (o: Operations): Condition =>
  o.negated(o.isZero(o.and(o.readField('efer'), c64(o, 1))));

export function systemCall(o: Operations, otherwise: () => void): void {
  const isPlain = o.isZero(systemFlags(o, TF | RF | VM));
  const isCommon = all(o, isUnwatched(o), isSystemCallEnabled(o), isPlain);
  o.when(
    isCommon,
    () => {
      const flags = rflags(o);
      const left = o.and(flags, o.not(o.readField('sfmask')));
      const selector = bits(o, o.readField('star'), 32, 0xfffc);
      const target = o.readField('lstar');
      o.writeRegister('rcx', o.nextRip());
      o.writeRegister('r11', flags);
      const arithmetic = FLAG_BITS.reduce((word, [, bit]) => word | (1n << BigInt(bit)), 0n);
      o.writeField('rflagsSystem', o.or(o.and(left, c64(o, ~arithmetic)), c64(o, 2)));
      setArithmeticFlags(o, left);
      loadFlat(o, selector, o.add(selector, c64(o, 8)), 0);
      o.jump(target);
    },
    otherwise,
  );
}

/** SYSRET with REX.W, at CPL 0. */
export function systemReturn(o: Operations, otherwise: () => void): void {
  const target = o.readRegister('rcx', 64);
  const flags = o.readRegister('r11', 64);
  const isCommon = all(
    o,
    isUnwatched(o),
    isSystemCallEnabled(o),
    isCanonical(o, target),
    // RF and VM are dropped, so that they do not matter here.
    o.isZero(o.and(o.or(flags, o.readField('rflagsSystem')), c64(o, TF | NT | AC | VIF | VIP))),
    mayTurnOn(o, flags),
  );
  o.when(
    isCommon,
    () => {
      const base = bits(o, o.readField('star'), 48, 0xffff);
      o.writeField('rflagsSystem', o.or(o.and(flags, c64(o, COMMON_SYSTEM_FLAGS)), c64(o, 2)));
      setArithmeticFlags(o, flags);
      loadFlat(o, o.add(base, c64(o, 16)), o.add(base, c64(o, 8)), 3);
      o.jump(target);
    },
    otherwise,
  );
}
