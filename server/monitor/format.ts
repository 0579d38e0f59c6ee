/**
 * How monitor answers are laid out.
 */
import type { SymbolTable } from '../symbols/symbol-table.ts';

/** 16 digits, no prefix: as QEMU's monitor prints a 64-bit value. */
export function hex16(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}

export function hex8(value: bigint | number): string {
  return value.toString(16).padStart(8, '0');
}

/** `0x` and 16 digits. */
export function address(value: bigint): string {
  return `0x${hex16(value)}`;
}

/** `0xffffffff80101234 <sys_fork+4>`; without a symbol the address alone. */
export function addressWithSymbol(value: bigint, symbols: SymbolTable): string {
  const symbol = symbols.describe(value);
  return symbol === '' ? address(value) : `${address(value)} <${symbol}>`;
}

/**
 * Columns as wide as their widest cell, two spaces apart; no trailing spaces. A column whose
 * heading starts with `>` is aligned to the right.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const isRight = headings.map((heading) => heading.startsWith('>'));
  const lines = [headings.map((heading) => heading.replace(/^>/, '')), ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines
    .map((line) =>
      widths
        .map((width, column) => {
          const cell = line[column] ?? '';
          return isRight[column] === true ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Lines about what could not be believed, ready to be appended. */
export function complaintLines(complaints: readonly string[]): string {
  return complaints.map((complaint) => `\nwarning: ${complaint}`).join('');
}
