/**
 * Thread ids as packets carry them (GDB manual, "Packets", thread-id syntax): `TID`, or with
 * multiprocess extensions `pPID.TID` and `pPID`; −1 stands for all and 0 for any.
 */
export type IdNumber = number | 'all' | 'any';

export interface ThreadId {
  /** Absent where the client left the process out, as lldb does. */
  readonly process?: IdNumber;
  readonly thread: IdNumber;
}

/** `p1.2` with the multiprocess extensions, `2` without. */
export function formatThreadId(process: number, thread: number, multiprocess: boolean): string {
  const id = thread.toString(16);
  return multiprocess ? `p${process.toString(16)}.${id}` : id;
}
