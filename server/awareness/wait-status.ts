/** wait4's encoding: the low 7 bits are a signal, else the next 8 the exit code. */
export function describeWaitStatus(status: number): string {
  const signal = status & 0x7f;
  return signal === 0 ? `exit ${(status >> 8) & 0xff}` : `signal ${signal}`;
}
