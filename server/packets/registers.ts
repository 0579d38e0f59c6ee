/**
 * GDB manual, "Packets": g G p P, of the live target or the selected trace frame. lldb appends `;thread:ID;` to each after QThreadSuffixSupported.
 */
import { ERRNO } from '../rsp/errno.ts';
import { bytesToHex } from '../rsp/hex.ts';
import { reply } from '../rsp/reply.ts';
import type { Awaitable, ThreadNumber } from '../target/target.ts';
import type { PacketChapter } from './definition.ts';
import { definePacket } from './definition.ts';
import type { PacketContext } from './packet-context.ts';
import { refuseInFrame } from './tracepoints-frames.ts';

/** More than any register number has; keeps a hostile number a small integer. */
const MAX_REGISTER = 0xffff;

/** What lldb hears of pointers that only one thread can follow (`Target.unambiguousPointers`). */
export function forClient<Value extends Uint8Array | 'unavailable' | undefined>(
  { client, holdings, target }: PacketContext,
  thread: ThreadNumber,
  value: Value,
): Awaitable<Value | Uint8Array> {
  const isOfFrame = holdings.traceFrame !== undefined;
  if (!client.isLldb || isOfFrame || !(value instanceof Uint8Array)) return value;
  return target.unambiguousPointers?.(thread, value) ?? value;
}

/** Hex with `xx` for the bytes that are not available. */
function hexWithUnknown(bytes: Uint8Array, known: readonly boolean[]): string {
  const digits = bytesToHex(bytes);
  let text = '';
  for (let index = 0; index < bytes.length; index++) {
    text += known[index] === false ? 'xx' : digits.slice(2 * index, 2 * index + 2);
  }
  return text;
}

export const registers: PacketChapter = {
  title: 'Registers',
  packets: [
    definePacket({
      name: 'g',
      syntax: 'g',
      purpose: "all registers of gdb's default layout",
      async handle(fields, context) {
        const thread = await context.selection.suffixOrSelected(fields);
        fields.end();
        const { traceFrame } = context.holdings;
        context.client.knowsRegisterBlock = true;
        const { bytes: read, known } =
          traceFrame?.registers() ?? (await context.target.registers.readAll(thread));
        const bytes = await forClient(context, thread, read);
        return known === undefined ? reply.hex(bytes) : reply.text(hexWithUnknown(bytes, known));
      },
    }),
    definePacket({
      name: 'G',
      syntax: 'G XX…',
      purpose: 'write all registers',
      async handle(fields, context) {
        const bytes = fields.hexBytes();
        refuseInFrame(context);
        const thread = await context.selection.suffixOrSelected(fields);
        fields.end();
        const present = await context.target.registers.readAll(thread);
        if (bytes.length !== present.bytes.length) {
          return reply.error(ERRNO.EINVAL, `${present.bytes.length} bytes of registers expected`);
        }
        await context.target.registers.writeAll(thread, bytes);
        return reply.ok;
      },
    }),
    definePacket({
      name: 'p',
      syntax: 'p n',
      purpose: 'one register; also those outside g',
      async handle(fields, context) {
        const number = fields.length(MAX_REGISTER);
        const thread = await context.selection.suffixOrSelected(fields);
        fields.end();
        const { traceFrame } = context.holdings;
        const read =
          traceFrame === undefined
            ? await context.target.registers.read(thread, number)
            : traceFrame.register(number);
        const value = await forClient(context, thread, read);
        if (value === undefined) return reply.error(ERRNO.EINVAL, 'no such register');
        return value === 'unavailable' ? reply.text('xxxxxxxxxxxxxxxx') : reply.hex(value);
      },
    }),
    definePacket({
      name: 'P',
      syntax: 'P n=r…',
      purpose: 'write one register',
      async handle(fields, context) {
        const number = fields.length(MAX_REGISTER);
        fields.expect('=');
        const bytes = fields.hexBytes();
        refuseInFrame(context);
        const thread = await context.selection.suffixOrSelected(fields);
        fields.end();
        const isWritten = await context.target.registers.write(thread, number, bytes);
        return isWritten ? reply.ok : reply.error(ERRNO.EINVAL, 'this register cannot be written');
      },
    }),
  ],
};
