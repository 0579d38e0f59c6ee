/**
 * Who may import whom: the walls between the rooms of the house, and no import cycle.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

/** A folder (or file) and what its files may import of ours; its own folder always. */
const WALLS: readonly {
  readonly from: string;
  readonly may: readonly string[];
  readonly why: string;
}[] = [
  { from: 'server/rsp/', may: [], why: 'the wire format is a library of its own' },
  {
    from: 'server/',
    may: ['server/', 'machine/index.ts'],
    why: 'the server sees the machine by its public surface',
  },
  { from: 'machine/wasm/', may: [], why: 'the encoder knows nothing of x86' },
  {
    from: 'machine/instructions/',
    may: ['machine/guest-fault.ts'],
    why: 'definitions name no wasm, decoder or codegen',
  },
  {
    from: 'machine/devices/',
    may: ['machine/clock/'],
    why: 'chips meet only through lines and the port bus',
  },
  { from: 'machine/clock/', may: [], why: 'time depends on nothing' },
  { from: 'machine/', may: ['machine/'], why: 'the machine knows no debugger' },
];

interface Import {
  readonly file: string;
  readonly target: string;
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => name.endsWith('.ts'));
}

const FILES = [...sources('server'), ...sources('machine')];

const IMPORTS: readonly Import[] = FILES.flatMap((file) => {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map(([, specifier]) => ({
    file,
    target: relative(ROOT, normalize(join(ROOT, dirname(file), specifier ?? ''))),
  }));
});

describe('the walls between the rooms', () => {
  for (const { from, may, why } of WALLS) {
    it(`${from} keeps to ${may.join(', ') || 'itself'}: ${why}`, () => {
      const broken = IMPORTS.filter(({ file }) => file.startsWith(from))
        .filter(({ target }) => !target.startsWith(from))
        .filter(({ target }) => !may.some((place) => target.startsWith(place)));
      expect(broken).toEqual([]);
    });
  }

  it('the two engines never import each other', () => {
    const crossing = IMPORTS.filter(
      ({ file, target }) =>
        (file.startsWith('machine/step-engine/') && target.startsWith('machine/block-engine/')) ||
        (file.startsWith('machine/block-engine/') && target.startsWith('machine/step-engine/')),
    );
    expect(crossing).toEqual([]);
  });

  it('what both engines share knows neither of them', () => {
    const shared = IMPORTS.filter(({ file }) => file.startsWith('machine/translation/'));
    expect(shared.length).toBeGreaterThan(0);
    expect(shared.filter(({ target }) => /^machine\/(step|block)-engine\//.test(target))).toEqual(
      [],
    );
  });

  it('only awareness/exo names the Exo kernel', () => {
    const naming = FILES.filter((file) =>
      ['server/target/', 'server/packets/', 'server/monitor/'].some((place) =>
        file.startsWith(place),
      ),
    ).filter((file) => /exo_debug|awareness\/exo/.test(readFileSync(join(ROOT, file), 'utf8')));
    expect(naming).toEqual([]);
  });

  it('nothing under machine/ reads the host: no clock, chance, timer or process', () => {
    const reading = FILES.filter((file) => file.startsWith('machine/')).filter((file) => {
      const code = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      return /\bDate\b|Math\.random|setTimeout|setImmediate|performance\.|process\.|'node:/.test(
        code,
      );
    });
    expect(reading).toEqual([]);
  });

  it('there is no import cycle', () => {
    const targets = new Map<string, string[]>();
    for (const { file, target } of IMPORTS)
      targets.set(file, [...(targets.get(file) ?? []), target]);
    expect(findCycle(targets)).toEqual([]);
  });
});

function findCycle(targets: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const target of targets.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const file of targets.keys()) {
    const cycle = visit(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
