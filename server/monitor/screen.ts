/**
 * `screen`: the 80 by 25 characters of VGA text memory at 0xb8000, where kernels without a serial driver
 * print. Colours are left out; characters are those of code page 437, the PC's font.
 */
import type { MachineView } from '../../machine/index.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

const TEXT_MEMORY = 0xb_8000n;
const COLUMNS = 80;
const ROWS = 25;
const BYTES_PER_CHARACTER = 2;

const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index));
const CODE_PAGE_437 = [
  ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼',
  ...PRINTABLE,
  '⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀',
  'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ',
].join('');

export const screenCommand = defineMonitorCommand({
  name: 'screen',
  syntax: 'screen',
  access: 'look',
  summary: 'the VGA text screen, where kernels without a serial driver print',
  help: 'What stands in the text memory at 0xb8000, 80 by 25 characters, without colours.',
  sample: 'Welcome to our 64-bit kernel!',
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const lines = screenLines(machine);
    return lines.length === 0 ? 'the screen is empty' : lines.join('\n');
  },
});

/** Row by row without what is blank at the right and below; none if all of it is. */
export function screenLines(machine: Pick<MachineView, 'readPhysical'>): readonly string[] {
  const cells = machine.readPhysical(TEXT_MEMORY, COLUMNS * ROWS * BYTES_PER_CHARACTER);
  const lines: string[] = [];
  for (let row = 0; row < ROWS; row++) {
    let line = '';
    for (let column = 0; column < COLUMNS; column++) {
      line += CODE_PAGE_437[cells[(row * COLUMNS + column) * BYTES_PER_CHARACTER] ?? 0]!;
    }
    lines.push(line.trimEnd());
  }
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
}
