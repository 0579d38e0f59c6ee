/**
 * Finds a packet's definition by its name. The manual's naming rule makes that independent of the
 * list's order: `q Q v j` packets are named by all up to a separator (and further `:`-separated
 * words), as are `bc` and `bs`, every other packet by its first character.
 */
import type { Target } from '../target/target.ts';
import type { PacketChapter, PacketDefinition } from './definition.ts';

export interface FoundPacket {
  readonly definition: PacketDefinition;
  /** Where the fields begin, in bytes from the packet's start. */
  readonly fieldsAt: number;
}

/** First letters whose names are words; `bc` and `bs` are two letters without a separator. */
const WORDY = 'qQvjb';
const LONGEST_NAME = 64;
const COLON = 0x3a;
const QUESTION_MARK = 0x3f;
const UNDERSCORE = 0x5f;
const FULL_STOP = 0x2e;

export class PacketRegistry {
  private readonly byName = new Map<string, PacketDefinition>();
  private readonly glued: PacketDefinition[] = [];

  /** Throws if two definitions share a name. */
  constructor(chapters: readonly PacketChapter[]) {
    for (const definition of chapters.flatMap(({ packets }) => packets)) {
      if (this.byName.has(definition.name)) {
        throw new Error(`packet '${definition.name}' is defined twice`);
      }
      this.byName.set(definition.name, definition);
      if (definition.hasGluedArgument === true) this.glued.push(definition);
    }
  }

  /** The definition for a payload, or undefined: unknown, or not offered by this target. */
  find(payload: Uint8Array, target: Target): FoundPacket | undefined {
    const letter = String.fromCharCode(payload[0] ?? 0);
    const found = WORDY.includes(letter) ? this.findWord(payload) : this.findLetter(letter);
    return found !== undefined && isOffered(found.definition, target) ? found : undefined;
  }

  /** The `qSupported` entries of all packets that exist for the target. */
  announcements(target: Target): string[] {
    const texts: string[] = [];
    for (const definition of this.byName.values()) {
      const { announcement } = definition;
      const text = typeof announcement === 'function' ? announcement(target) : announcement;
      if (text !== undefined && isOffered(definition, target)) texts.push(text);
    }
    return texts;
  }

  private findLetter(letter: string): FoundPacket | undefined {
    const definition = this.byName.get(letter);
    return definition && { definition, fieldsAt: 1 };
  }

  /** `qXfer:features:read:target.xml:0,fff`: the longest run of words that is a name. */
  private findWord(payload: Uint8Array): FoundPacket | undefined {
    const { buffer, byteOffset, length } = payload;
    const bytes = Buffer.from(buffer, byteOffset, Math.min(length, LONGEST_NAME));
    const firstLength = wordLength(bytes);
    const first = bytes.toString('latin1', 0, firstLength);
    let found = this.byName.get(first);
    if (bytes[firstLength] === COLON) {
      let name = first;
      for (const word of bytes.toString('latin1', firstLength + 1).split(':')) {
        name += `:${word}`;
        found = this.byName.get(name) ?? found;
      }
    }
    found ??= this.glued.find((definition) => first.startsWith(definition.name));
    return found && { definition: found, fieldsAt: found.name.length };
  }
}

/** How many bytes of a packet's beginning are its name, or the name's first word. */
function wordLength(bytes: Uint8Array): number {
  let length = 0;
  while (isNameCharacter(bytes[length] ?? 0)) length += 1;
  return bytes[length] === QUESTION_MARK ? length + 1 : length;
}

function isNameCharacter(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || byte === UNDERSCORE || byte === FULL_STOP;
}

function isOffered(definition: PacketDefinition, target: Target): boolean {
  return definition.isOffered?.(target) ?? true;
}
