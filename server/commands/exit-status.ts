/** How the process ends. `exoscope run` otherwise ends with what the guest wrote. */
export const EXIT = {
  success: 0,
  /** An address that is taken, a server that does not answer, a monitor command that fails. */
  failure: 1,
  usage: 2,
  /** The image is missing or bad. */
  image: 120,
  tripleFault: 121,
  instructionLimit: 122,
  /** The guest halted and nothing can wake it. */
  idleForGood: 123,
  /** The guest asked for a reset. */
  reset: 124,
  /** Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
  /** Whoever read our output has gone: 128 + SIGPIPE. */
  brokenPipe: 141,
} as const;
