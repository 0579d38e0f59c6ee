/**
 * Coverage-guided mutation: inputs that made the server behave in a way not seen before are kept and
 * mutated again. Behaviour is what a client sees of it: the packet's name and the shape of the answer.
 */
import { Random } from '../machine/block-engine/random-program.ts';

/** More than this, and the newest take the place of the oldest. */
const MOST_KEPT = 5000;
const LONGEST_BYTES = 4096;
const INTERESTING = [
  0, 1, 0x03, 0x20, 0x23, 0x24, 0x2a, 0x2c, 0x2d, 0x3a, 0x3b, 0x7d, 0x7f, 0x80, 0xff,
];

export class Corpus {
  private readonly random: Random;
  private readonly inputs: Uint8Array[];
  private readonly behaviours = new Set<string>();
  private next = 0;

  constructor(seed: number, inputs: readonly Uint8Array[]) {
    this.random = new Random(seed);
    this.inputs = [...inputs];
  }

  /** Kinds of behaviour seen. */
  get seen(): number {
    return this.behaviours.size;
  }

  /** A mutant of something kept. */
  draw(): Uint8Array {
    let bytes = Array.from(this.random.pick(this.inputs).subarray(0, LONGEST_BYTES));
    for (let count = 1 + this.random.below(4); count > 0; count--) bytes = this.mutate(bytes);
    return Uint8Array.from(bytes);
  }

  /** Keeps the input if its behaviour is new. */
  learn(input: Uint8Array, behaviour: string): void {
    if (this.behaviours.has(behaviour)) return;
    this.behaviours.add(behaviour);
    if (this.inputs.length < MOST_KEPT) this.inputs.push(input);
    else this.inputs[this.next++ % MOST_KEPT] = input;
  }

  private mutate(bytes: number[]): number[] {
    const { random } = this;
    // Most names are short: spare them three times in four.
    const first = random.below(4) === 0 ? 0 : Math.min(6, bytes.length);
    const at = first + random.below(bytes.length + 1 - first);
    const length = random.below(9);
    switch (random.below(8)) {
      case 0:
        return bytes.map((byte, index) => (index === at ? byte ^ (1 << random.below(8)) : byte));
      case 1:
        return bytes.map((byte, index) => (index === at ? random.below(256) : byte));
      case 2:
        return [...bytes.slice(0, at), random.pick(INTERESTING), ...bytes.slice(at)];
      case 3:
        return [...bytes.slice(0, at), ...bytes.slice(at + length)];
      case 4:
        return [...bytes.slice(0, at), ...bytes.slice(at, at + length), ...bytes.slice(at)];
      case 5:
        return [...bytes.slice(0, at), ...random.pick(this.inputs).subarray(random.below(20), 40)];
      case 6: {
        const digit = '0123456789abcdef'.charCodeAt(random.below(16));
        return bytes.map((byte, index) => (index === at ? digit : byte));
      }
      default:
        return bytes.slice(0, at);
    }
  }
}

/** What an answer looks like, its contents left out. */
export function shapeOf(answer: string): string {
  if (/^E[0-9a-f]{2}/.test(answer)) return answer.slice(0, 3);
  if (answer.startsWith('E.')) return 'E.';
  const size = Math.ceil(Math.log2(answer.length + 1));
  return `${answer.slice(0, 3).replace(/[0-9a-f]/g, '0')} ${size}`;
}
