/**
 * The library `exoscope/rsp`: a debug server for anything that implements `Target`. Give each connection
 * a `Session`, hand it the bytes that arrive, and it answers gdb and lldb.
 */
export { DebuggerSeat } from './debugger-seat.ts';
export { definePacket, type PacketChapter, type PacketDefinition } from './packets/definition.ts';
export { PACKET_CHAPTERS } from './packets/index.ts';
export type { PacketContext } from './packets/packet-context.ts';
export { PacketRegistry } from './packets/registry.ts';
export { ERRNO, RemoteError, type Errno } from './rsp/errno.ts';
export { FieldReader } from './rsp/field-reader.ts';
export { PacketFraming, type FramingEvent } from './rsp/framing.ts';
export { MalformedPacket } from './rsp/malformed-packet.ts';
export { encodePacket } from './rsp/packet-writer.ts';
export { encodeReply, reply, type Reply } from './rsp/reply.ts';
export { Session } from './session.ts';
export type { SessionLog, SessionOptions, Transport } from './session-options.ts';
export type * from './target/target.ts';
