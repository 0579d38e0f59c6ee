/**
 * Golden conversations: text files of what a client sends and what must come back.
 *
 *     # a comment
 *     # target: machine          our own target over the fake machine, instead of the toy
 *     -> payload       a packet of the client; \xNN for bytes that are not printable
 *     -> \x03          the break-in byte, outside any packet
 *     <- payload       an answer; none or several after one packet
 *
 * UPDATE_GOLDEN=1 writes the answers that come; the diff is then to be reviewed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { MachineTarget } from '../../server/target/machine-target.ts';
import type { Target } from '../../server/target/target.ts';
import { FakeMachine } from '../server/fake-machine.ts';
import { SessionHarness } from '../session-harness.ts';

function unescape(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})|\\\\/g, (_, digits: string | undefined) =>
    digits === undefined ? '\\' : String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

function escape(payload: string): string {
  return payload.replace(/\\|[^ -~]/g, (character) => {
    if (character === '\\') return '\\\\';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Instructions that do nothing from 0x1000 on; 0x1100 goes back there. */
function fakeMachine(): Target {
  const machine = new FakeMachine();
  machine.program.set(0x1100n, (self) => self.jump(0x1000n));
  machine.putU64(0x8000n, 0x1234_5678_9abc_def0n);
  return new MachineTarget({ machine, image: new Uint8Array(), imageName: 'none' });
}

/** The file with the answers that the packet layer really gives. */
export async function replay(path: string): Promise<{ expected: string; actual: string }> {
  const expected = readFileSync(path, 'utf8');
  const isMachine = expected.includes('\n# target: machine\n');
  const harness = isMachine ? new SessionHarness({ target: fakeMachine() }) : new SessionHarness();
  const lines: string[] = [];
  for (const line of expected.trimEnd().split('\n')) {
    if (line.startsWith('<-')) continue;
    lines.push(line);
    if (!line.startsWith('-> ')) continue;
    const payload = unescape(line.slice(3));
    const answers =
      payload === '\x03' ? await harness.sendRaw(Buffer.of(3)) : await harness.send(payload);
    lines.push(...answers.map((answer) => `<- ${escape(answer)}`.trimEnd()));
  }
  if (harness.internalErrors.length > 0) throw new Error(JSON.stringify(harness.internalErrors));
  const actual = `${lines.join('\n')}\n`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, actual);
  return { expected: process.env['UPDATE_GOLDEN'] === '1' ? actual : expected, actual };
}
