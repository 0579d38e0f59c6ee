/**
 * What a packet's handler answers, as a value; `encodeReply` alone turns it into a payload. Handlers
 * write to no socket.
 */
import { ERRNO, type Errno } from './errno.ts';
import { bytesToHex, textToHex } from './hex.ts';

export type Reply =
  /** The packet is not supported: an empty payload. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly errno: Errno; readonly text?: string }
  /** An error in words whatever was negotiated, for the few places where every gdb prints it. */
  | { readonly kind: 'error-text'; readonly text: string }
  /** ASCII as it stands. */
  | { readonly kind: 'text'; readonly text: string }
  /** ASCII that needs no escape, and bytes as they stand; the packet writer escapes them. */
  | { readonly kind: 'binary'; readonly prefix: string; readonly bytes: Uint8Array }
  | { readonly kind: 'hex'; readonly bytes: Uint8Array }
  /** The target runs now: the stop reply will be the answer. */
  | { readonly kind: 'resumed' }
  /** The packet has no answer by its definition. */
  | { readonly kind: 'silent' };

/** Answers that are sent at once. */
export type ImmediateReply = Exclude<Reply, { kind: 'resumed' | 'silent' }>;

export const reply = {
  unsupported: { kind: 'unsupported' },
  ok: { kind: 'ok' },
  resumed: { kind: 'resumed' },
  silent: { kind: 'silent' },
  error: (errno: Errno, text?: string): ImmediateReply =>
    text === undefined ? { kind: 'error', errno } : { kind: 'error', errno, text },
  errorText: (text: string): ImmediateReply => ({ kind: 'error-text', text }),
  text: (text: string): ImmediateReply => ({ kind: 'text', text }),
  hex: (bytes: Uint8Array): ImmediateReply => ({ kind: 'hex', bytes }),
  binary: (bytes: Uint8Array, prefix = ''): ImmediateReply => ({ kind: 'binary', prefix, bytes }),
} as const;

/** How this client wants its errors. */
export interface ErrorStyle {
  /** lldb's `QEnableErrorStrings`: `Exx;hex`. */
  readonly hexErrorStrings: boolean;
  /** gdb 16's `error-message+`: `E.text`. */
  readonly errorMessages: boolean;
}

/** The payload of an answer. */
export function encodeReply(answer: ImmediateReply, style: ErrorStyle): Uint8Array {
  switch (answer.kind) {
    case 'unsupported':
      return new Uint8Array(0);
    case 'ok':
      return Buffer.from('OK');
    case 'text':
      return Buffer.from(answer.text, 'latin1');
    case 'binary':
      return Buffer.concat([Buffer.from(answer.prefix, 'latin1'), answer.bytes]);
    case 'hex':
      return Buffer.from(bytesToHex(answer.bytes), 'latin1');
    case 'error-text':
      return Buffer.from(`E.${printable(answer.text)}`, 'latin1');
    case 'error':
      return Buffer.from(encodeError(answer.errno, answer.text, style), 'latin1');
  }
}

function encodeError(errno: Errno, text: string | undefined, style: ErrorStyle): string {
  const number = errno.toString(16).padStart(2, '0');
  if (text !== undefined && style.errorMessages) return `E.${printable(text)}`;
  if (text !== undefined && style.hexErrorStrings) return `E${number};${textToHex(text)}`;
  return `E${number}`;
}

/** gdb prints error text without undoing escapes, so it must not contain what needs them. */
function printable(text: string): string {
  return text.replace(/[^ -~]|[#$}*]/g, '?');
}

/** The reply to a packet that the client spelled wrongly. */
export function malformed(message: string): Reply {
  return reply.error(ERRNO.EINVAL, message);
}
