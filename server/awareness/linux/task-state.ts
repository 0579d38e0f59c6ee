/** The words that Linux itself has for the state of a task (fs/proc/array.c, `task_state_array`). */

/** By the lowest bit that is set (include/linux/sched.h). */
const STATES = new Map([
  [0x1, 'sleeping'],
  [0x2, 'disk sleep'],
  [0x4, 'stopped'],
  [0x8, 'tracing stop'],
  [0x10, 'dead'],
  [0x20, 'zombie'],
  [0x40, 'parked'],
]);
/** TASK_UNINTERRUPTIBLE | TASK_NOLOAD */
const IDLE = 0x402;

/** `runnable` where Linux says `running`, of a task that is not on the CPU as well. */
export function taskState(state: number, exitState: number): string {
  const bits = state | exitState;
  if (bits === 0) return 'runnable';
  if (bits === IDLE) return 'idle';
  return STATES.get(bits & -bits) ?? `state 0x${bits.toString(16)}`;
}
