/** The client sent fields that break the packet's syntax. Becomes an error reply; the session lives. */
export class MalformedPacket extends Error {
  override readonly name = 'MalformedPacket';
  /** Offset into the packet's payload, in bytes from its first character. */
  readonly position: number;

  constructor(message: string, position: number) {
    super(`${message} at ${position}`);
    this.position = position;
  }
}
