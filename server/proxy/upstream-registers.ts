/**
 * The registers that a stub has, read from its target description (GDB manual, "Target Description
 * Format"): numbers count up in the order of the text unless `regnum` says otherwise, and `g` is
 * their concatenation.
 */
import type { Upstream } from './upstream.ts';

export interface UpstreamRegister {
  readonly name: string;
  readonly number: number;
  /** In the `g` block, where it may lie behind the end. */
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface UpstreamDescription {
  /** By annex: target.xml and what it includes. */
  readonly texts: ReadonlyMap<string, string>;
  readonly registers: readonly UpstreamRegister[];
}

const PIECE_BYTES = 0x800;
/** A description includes a handful of files; more is a cycle. */
const MAX_TEXTS = 32;
/** QEMU's is of 20 KiB. */
const MOST_CHARACTERS = 1 << 18;
const MOST_NUMBER = 0xffff;
/** AVX-512's, and room beyond. */
const MOST_BITS = 4096;

export async function readDescription(upstream: Upstream): Promise<UpstreamDescription> {
  const texts = new Map<string, string>();
  const whole = await readText(upstream, 'target.xml', texts);
  let next = 0;
  let offset = 0;
  const registers: UpstreamRegister[] = [];
  for (const [element] of whole.matchAll(/<reg\s[^<>]*>/g)) {
    const number = Number(attribute(element, 'regnum') ?? next);
    const bits = Number(attribute(element, 'bitsize'));
    // Where those behind it lie in `g` nobody knows.
    if (!isWithin(number, 0, MOST_NUMBER) || !isWithin(bits, 8, MOST_BITS) || bits % 8 > 0) break;
    const lengthBytes = bits / 8;
    registers.push({ name: attribute(element, 'name') ?? '', number, offset, lengthBytes });
    next = number + 1;
    offset += lengthBytes;
  }
  return { texts, registers };
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** The text with its inclusions in their places; empty for one that does not end. */
async function readText(
  upstream: Upstream,
  annex: string,
  texts: Map<string, string>,
): Promise<string> {
  let text = '';
  for (let piece = 'm'; piece.startsWith('m'); text += piece.slice(1)) {
    const offset = text.length.toString(16);
    const request = `qXfer:features:read:${annex}:${offset},${PIECE_BYTES.toString(16)}`;
    piece = await upstream.ask(request);
    if (piece === 'm' || text.length + piece.length > MOST_CHARACTERS) {
      texts.set(annex, '');
      return '';
    }
  }
  texts.set(annex, text);
  let whole = text;
  for (const [element, included] of text.matchAll(/<xi:include\s+href="([^"]+)"\s*\/>/g)) {
    if (texts.has(included!) || texts.size >= MAX_TEXTS) continue;
    const inner = await readText(upstream, included!, texts);
    whole = whole.replace(element, () => inner);
  }
  return whole;
}

function attribute(element: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(element)?.[1];
}
