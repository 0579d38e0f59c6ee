/**
 * Golden conversations: text files of what a client sends and what must come back.
 *
 *     # a comment
 *     -> payload       a packet of the client; \xNN for bytes that are not printable
 *     -> \x03          the break-in byte, outside any packet
 *     <- payload       an answer; none or several after one packet
 *
 * UPDATE_GOLDEN=1 writes the answers that come; the diff is then to be reviewed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
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

/** The file with the answers that the packet layer really gives. */
export async function replay(path: string): Promise<{ expected: string; actual: string }> {
  const expected = readFileSync(path, 'utf8');
  const harness = new SessionHarness();
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
