/**
 * The vmlinux in a bzImage (Linux, Documentation/arch/x86/boot.rst, `payload_offset`), where it is
 * compressed as Debian does it: LZ4 in its legacy frame (lz4, doc/lz4_Frame_format.md and
 * lz4_Block_format.md).
 */
const SECTOR_BYTES = 512;
const LEGACY_MAGIC = 0x184c_2102;
/** What a block of the legacy frame holds at most. */
const BLOCK_BYTES = 8 << 20;

/** Undefined: it is compressed in another way. */
export function vmlinuxPayload(image: Buffer): Buffer | undefined {
  const setup = (image.readUInt8(0x1f1) + 1) * SECTOR_BYTES;
  const start = setup + image.readUInt32LE(0x248);
  // The last four bytes are the length of what comes out.
  const end = start + image.readUInt32LE(0x24c) - 4;
  if (image.readUInt32LE(start) !== LEGACY_MAGIC) return undefined;
  const blocks: Buffer[] = [];
  for (let at = start + 4; at < end;) {
    const length = image.readUInt32LE(at);
    blocks.push(lz4Block(image.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return Buffer.concat(blocks);
}

function lz4Block(input: Buffer): Buffer {
  const output = Buffer.alloc(BLOCK_BYTES);
  let from = 0;
  let to = 0;
  const extended = (length: number): number => {
    if (length < 15) return length;
    for (let more = 255; more === 255; length += more) more = input[from++]!;
    return length;
  };
  for (;;) {
    const token = input[from++]!;
    const literals = extended(token >> 4);
    to += input.copy(output, to, from, from + literals);
    from += literals;
    if (from >= input.length) return output.subarray(0, to);
    const distance = input.readUInt16LE(from);
    from += 2;
    for (let left = extended(token & 15) + 4; left > 0; left--, to++) {
      output[to] = output[to - distance]!;
    }
  }
}
