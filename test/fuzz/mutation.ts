/**
 * Coverage-guided mutation: inputs that made the server behave in a way not seen before are kept and
 * mutated again. Behaviour is what a client sees of it: the packet's name and the shape of the answer.
 *
 * Like AFL's map ("Technical whitepaper for afl-fuzz", "Coverage measurements" and "Culling the corpus"):
 * behaviours are hashed to a fixed number of slots, and each slot keeps the shortest input that came
 * there. So neither memory nor the length of the inputs grows with the run.
 */
import { Random } from '../machine/block-engine/random-program.ts';

/** A power of two; some hundreds of behaviours are usual. */
const SLOTS = 8192;
const LONGEST_BYTES = 4096;
const INTERESTING = [
  0, 1, 0x03, 0x20, 0x23, 0x24, 0x2a, 0x2c, 0x2d, 0x3a, 0x3b, 0x7d, 0x7f, 0x80, 0xff,
];

export class Corpus {
  private readonly random: Random;
  private readonly inputs: Uint8Array[];
  private readonly first: number;
  /** Behind the first inputs, the place in `inputs` of the one that a slot keeps. */
  private readonly kept = new Map<number, number>();

  constructor(seed: number, inputs: readonly Uint8Array[]) {
    this.random = new Random(seed);
    this.inputs = inputs.map((input) => input.slice(0, LONGEST_BYTES));
    this.first = inputs.length;
  }

  /** Kinds of behaviour seen, as far as they have slots of their own. */
  get seen(): number {
    return this.inputs.length - this.first;
  }

  /** Bytes of all inputs kept. */
  get keptBytes(): number {
    return this.inputs.reduce((sum, input) => sum + input.length, 0);
  }

  /** A mutant of something kept. */
  draw(): Uint8Array {
    let bytes = Array.from(this.random.pick(this.inputs));
    for (let count = 1 + this.random.below(4); count > 0; count--) bytes = this.mutate(bytes);
    return Uint8Array.from(bytes.slice(0, LONGEST_BYTES));
  }

  /** Keeps the input if one of its behaviours is new, or was seen of longer ones only. */
  learn(input: Uint8Array, behaviours: readonly string[]): void {
    for (const behaviour of behaviours) {
      const slot = slotOf(behaviour);
      const place = this.kept.get(slot);
      if (place === undefined) this.kept.set(slot, this.inputs.push(input) - 1);
      else if (input.length < this.inputs[place]!.length) this.inputs[place] = input;
    }
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

/** FNV-1a. */
function slotOf(behaviour: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < behaviour.length; at++) {
    hash = Math.imul(hash ^ behaviour.charCodeAt(at), 0x0100_0193);
  }
  return (hash ^ (hash >>> 16)) & (SLOTS - 1);
}

/** What follows what: one behaviour for each answer to an input, together with the one before it. */
export function transitionsOf(answers: readonly string[]): readonly string[] {
  const shapes = ['', ...answers.map(shapeOf), ''];
  return shapes.slice(1).map((shape, index) => `${shapes[index]}>${shape}`);
}

/** What an answer looks like, its contents left out. */
export function shapeOf(answer: string): string {
  if (/^E[0-9a-f]{2}/.test(answer)) return answer.slice(0, 3);
  if (answer.startsWith('E.')) return 'E.';
  const size = Math.ceil(Math.log2(answer.length + 1));
  const start = answer.slice(0, 3).replace(/[0-9a-f]/g, '0');
  return `${start.replace(/[^0-9A-Za-z]/g, '.')} ${size}`;
}
