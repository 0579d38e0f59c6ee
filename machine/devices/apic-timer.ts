/**
 * The timer of the local APIC as a function of time (Intel SDM 3A §11.5.4). It counts at 1 GHz, one
 * count per virtual tick, before the divider. Several expirations between two instructions are one
 * interrupt, since IRR holds one.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import type { DeviceState, FieldRules } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';

/** LVT timer bits 18–17. */
const MODE_ONE_SHOT = 0;
const MODE_PERIODIC = 1;
const MODE_TSC_DEADLINE = 2;

const EVENT = 'local-apic-timer';

function powerOnState() {
  return {
    mode: MODE_ONE_SHOT,
    initialCount: 0,
    /** Bits 3, 1 and 0. */
    divideConfiguration: 0,
    /** The count stood at `baseCount` at tick `baseAt`. */
    baseCount: 0,
    baseAt: 0n,
    /** The value of IA32_TSC_DEADLINE; 0 when disarmed. */
    deadline: 0n,
    expiryAt: null as bigint | null,
  };
}

const RULES: FieldRules = { nullable: { expiryAt: 0n }, ranges: { mode: [0, 3] } };

export class ApicTimer {
  private readonly clock: Clock;
  private readonly expire: () => void;
  private state = powerOnState();

  constructor(clock: Clock, expire: () => void) {
    this.clock = clock;
    this.expire = expire;
  }

  get initialCount(): number {
    return this.state.initialCount;
  }

  get divideConfiguration(): number {
    return this.state.divideConfiguration;
  }

  /** IA32_TSC_DEADLINE as RDMSR reads it. */
  get tscDeadline(): bigint {
    return this.state.deadline;
  }

  /** The current-count register. */
  currentCount(): number {
    const { state } = this;
    if (state.initialCount === 0 || state.mode === MODE_TSC_DEADLINE) return 0;
    const elapsed = Number((this.clock.now() - state.baseAt) / this.divisor());
    if (elapsed < state.baseCount) return state.baseCount - elapsed;
    if (state.mode !== MODE_PERIODIC) return 0;
    return state.initialCount - ((elapsed - state.baseCount) % state.initialCount);
  }

  /** LVT bits 18–17. Changing to or from TSC-deadline mode disarms the timer. */
  setMode(mode: number): void {
    const { state } = this;
    if (mode === state.mode) return;
    if (mode === MODE_TSC_DEADLINE || state.mode === MODE_TSC_DEADLINE) {
      state.initialCount = 0;
      state.deadline = 0n;
      state.expiryAt = null;
    }
    state.mode = mode;
    this.armNext();
  }

  /** Starts counting; 0 stops. Ignored in TSC-deadline mode. */
  setInitialCount(count: number): void {
    const { state } = this;
    if (state.mode === MODE_TSC_DEADLINE) return;
    state.initialCount = count;
    state.baseCount = count;
    state.baseAt = this.clock.now();
    this.armNext();
  }

  /** Changes the speed; the count goes on from where it stands. */
  setDivideConfiguration(value: number): void {
    const { state } = this;
    const count = this.currentCount();
    state.divideConfiguration = value & 0xb;
    state.baseCount = count;
    state.baseAt = this.clock.now();
    this.armNext();
  }

  /**
   * IA32_TSC_DEADLINE: `value` is what the guest wrote, `dueAt` the tick at which its TSC reaches
   * it. Ignored in the other modes; 0 disarms.
   */
  setTscDeadline(value: bigint, dueAt: bigint): void {
    const { state } = this;
    if (state.mode !== MODE_TSC_DEADLINE) return;
    state.deadline = value;
    state.expiryAt = value === 0n ? null : dueAt;
    this.armEvent();
  }

  reset(): void {
    this.state = powerOnState();
    this.armEvent();
  }

  describe(): string {
    const { state } = this;
    const mode = ['one-shot', 'periodic', 'TSC-deadline'][state.mode] ?? 'reserved mode';
    return `timer ${mode}, count ${this.currentCount()} of ${state.initialCount}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState('local-apic.timer', powerOnState(), saved, RULES);
    this.armEvent();
  }

  private divisor(): bigint {
    const { divideConfiguration } = this.state;
    const code = (divideConfiguration & 3) | ((divideConfiguration & 8) >> 1);
    return code === 7 ? 1n : 2n << BigInt(code);
  }

  private armNext(): void {
    if (this.state.mode !== MODE_TSC_DEADLINE) this.state.expiryAt = this.nextExpiry();
    this.armEvent();
  }

  /** The first expiry after now. */
  private nextExpiry(): bigint | null {
    const { state } = this;
    if (state.initialCount === 0 || state.baseCount === 0) return null;
    const first = state.baseAt + BigInt(state.baseCount) * this.divisor();
    const now = this.clock.now();
    if (first > now) return first;
    if (state.mode !== MODE_PERIODIC) return null;
    const period = BigInt(state.initialCount) * this.divisor();
    return first + ((now - first) / period + 1n) * period;
  }

  private armEvent(): void {
    const { expiryAt } = this.state;
    if (expiryAt === null) this.clock.cancel(EVENT);
    else this.clock.schedule(EVENT, expiryAt, () => this.onExpiry());
  }

  private onExpiry(): void {
    this.state.expiryAt = null;
    this.state.deadline = 0n;
    this.armNext();
    this.expire();
  }
}
