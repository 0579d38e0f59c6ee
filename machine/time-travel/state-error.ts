/** A state that this machine did not save, or that no machine can have saved: one line. */
export class StateError extends Error {
  override readonly name = 'StateError';
}
