/** The local APIC's registers as text, for `monitor info apic` (Intel SDM 3A table 11-1). */
import {
  CURRENT_COUNT,
  DELIVERY_FIXED,
  DFR,
  DIVIDE_CONFIGURATION,
  ESR,
  ICR_HIGH,
  ICR_LOW,
  ID,
  INITIAL_COUNT,
  IRR,
  ISR,
  LDR,
  LVT_ERROR,
  LVT_LEVEL,
  LVT_LINT0,
  LVT_LINT1,
  LVT_MASKED,
  LVT_PERFORMANCE,
  LVT_REMOTE_IRR,
  LVT_THERMAL,
  LVT_TIMER,
  PPR,
  SVR,
  SVR_ENABLED,
  TMR,
  TPR,
  VERSION,
  deliveryMode,
} from './local-apic-registers.ts';

const LVT_NAMES: readonly (readonly [string, number])[] = [
  ['timer', LVT_TIMER],
  ['thermal', LVT_THERMAL],
  ['performance', LVT_PERFORMANCE],
  ['LINT0', LVT_LINT0],
  ['LINT1', LVT_LINT1],
  ['error', LVT_ERROR],
];
const DELIVERY = ['fixed', 'lowest', 'SMI', 'reserved', 'NMI', 'INIT', 'start-up', 'ExtINT'];
const TIMER_MODES = ['one-shot', 'periodic', 'TSC deadline', 'reserved'];
/** LVT bit 12: sent and not yet accepted; bit 13: active low. */
const LVT_PENDING = 0x1000;
const LVT_ACTIVE_LOW = 0x2000;

/** One line per register or group; `read` takes a register's offset. */
export function apicLines(
  read: (offset: number) => number,
  isGloballyEnabled: boolean,
  timer: string,
): string[] {
  const svr = read(SVR);
  const state = (svr & SVR_ENABLED) === 0 ? 'disabled by SVR' : 'enabled';
  return [
    `local APIC: ${isGloballyEnabled ? state : 'disabled by IA32_APIC_BASE'}`,
    `ID       ${hex(read(ID))}  VERSION ${hex(read(VERSION))}`,
    `TPR      ${hex(read(TPR))}  PPR ${hex(read(PPR))}`,
    `LDR      ${hex(read(LDR))}  DFR ${hex(read(DFR))}`,
    `SVR      ${hex(svr)}  spurious vector 0x${(svr & 0xff).toString(16)}`,
    `ICR      ${hex(read(ICR_HIGH))} ${hex(read(ICR_LOW))}`,
    `ESR      ${hex(read(ESR))}`,
    ...LVT_NAMES.map(([name, offset]) => lvtLine(name, offset, read(offset))),
    `timer    initial ${read(INITIAL_COUNT)}, current ${read(CURRENT_COUNT)}, ` +
      `divide ${hex(read(DIVIDE_CONFIGURATION))}; ${timer}`,
    `ISR      ${vectors(read, ISR)}`,
    `IRR      ${vectors(read, IRR)}`,
    `TMR      ${vectors(read, TMR)}`,
  ];
}

function lvtLine(name: string, offset: number, entry: number): string {
  const isTimer = offset === LVT_TIMER;
  const mode = isTimer || offset === LVT_ERROR ? DELIVERY_FIXED : deliveryMode(entry);
  const words = [
    `${DELIVERY[mode]}`,
    mode === DELIVERY_FIXED ? `vector 0x${(entry & 0xff).toString(16)}` : '',
    isTimer ? `${TIMER_MODES[(entry >> 17) & 3]}` : '',
    !isTimer && (entry & LVT_LEVEL) !== 0 ? 'level' : '',
    (entry & LVT_ACTIVE_LOW) !== 0 ? 'active low' : '',
    (entry & LVT_PENDING) !== 0 ? 'pending' : '',
    (entry & LVT_REMOTE_IRR) !== 0 ? 'remote IRR' : '',
    (entry & LVT_MASKED) !== 0 ? 'masked' : '',
  ].filter((word) => word !== '');
  return `LVT      ${name.padEnd(11)} ${hex(entry)}  ${words.join(', ')}`;
}

/** The vectors whose bits are set in one of the 256-bit registers. */
function vectors(read: (offset: number) => number, first: number): string {
  const set: string[] = [];
  for (let vector = 0; vector < 256; vector++) {
    const word = read(first + ((vector >> 5) << 4));
    if ((word & (1 << (vector & 31))) !== 0) set.push(`0x${vector.toString(16)}`);
  }
  return set.length === 0 ? '-' : set.join(' ');
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`;
}
