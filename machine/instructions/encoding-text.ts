/** Writes opcode bytes as encodings spell them. */

/** Two upper-case hexadecimal digits. */
export function opcodeText(opcode: number): string {
  return opcode.toString(16).toUpperCase().padStart(2, '0');
}
