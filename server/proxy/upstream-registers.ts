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

export async function readDescription(upstream: Upstream): Promise<UpstreamDescription> {
  const texts = new Map<string, string>();
  const whole = await readText(upstream, 'target.xml', texts);
  let next = 0;
  let offset = 0;
  const registers = [...whole.matchAll(/<reg\s[^>]*>/g)].map(([element]) => {
    const number = Number(attribute(element, 'regnum') ?? next);
    const lengthBytes = Number(attribute(element, 'bitsize')) / 8;
    const register = { name: attribute(element, 'name') ?? '', number, offset, lengthBytes };
    next = number + 1;
    offset += lengthBytes;
    return register;
  });
  return { texts, registers };
}

/** The text with its inclusions in their places. */
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
  }
  texts.set(annex, text);
  let whole = text;
  for (const [element, included] of text.matchAll(/<xi:include\s+href="([^"]+)"\s*\/>/g)) {
    if (texts.has(included!) || texts.size >= MAX_TEXTS) continue;
    whole = whole.replace(element, await readText(upstream, included!, texts));
  }
  return whole;
}

function attribute(element: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(element)?.[1];
}
