/**
 * One packet as one object: how it is spelled, when it exists, what it announces and what it does.
 * Everything that speaks of packets (dispatch, `qSupported`, the README's table) is made from these.
 */
import type { FieldReader } from '../rsp/field-reader.ts';
import type { Reply } from '../rsp/reply.ts';
import type { Awaitable, Target } from '../target/target.ts';
import type { PacketContext } from './packet-context.ts';

export interface PacketDefinition {
  /**
   * The name by the manual's rule: one letter, or for `q Q v j` all up to a separator, with as many
   * `:`-separated words as distinguish it (`qXfer:features:read`); a `?` at the end belongs to it.
   */
  readonly name: string;
  /** As the manual writes it, for the table of packets. */
  readonly syntax: string;
  /** One line: what it does for a user. */
  readonly purpose: string;
  /**
   * `debugger` (the default): sending it makes the connection the one debugger. `anyone`: part of the
   * handshake or of a monitor client's conversation.
   */
  readonly audience?: 'debugger' | 'anyone';
  /** Answered even while the client waits for a stop reply. */
  readonly isForRunningTarget?: true;
  /** An argument follows the name without a separator (`qThreadStopInfo1f`). */
  readonly hasGluedArgument?: true;
  /** False: the target lacks the capability, so the packet does not exist. Absent: always there. */
  readonly isOffered?: (target: Target) => boolean;
  /** The packet's entry in the reply to `qSupported`, e.g. `qXfer:features:read+`. */
  readonly announcement?: string | ((target: Target) => string | undefined);
  /** `fields` stands behind the name. */
  readonly handle: (fields: FieldReader, context: PacketContext) => Awaitable<Reply>;
}

/** Gives a definition its type where it stands in a chapter's list. */
export function definePacket(definition: PacketDefinition): PacketDefinition {
  return definition;
}

/** A chapter of the GDB manual's packet descriptions. */
export interface PacketChapter {
  readonly title: string;
  readonly packets: readonly PacketDefinition[];
}
