/** What a hostile guest can make the host remember has an end. */
import { describe, expect, it } from 'vitest';
import { modeOfKey } from '../../machine/cpu/execution-mode.ts';
import { decode } from '../../machine/decoder/decoder.ts';
import { Notes } from '../../machine/notes.ts';
import { CodeCache } from '../../machine/translation/code-cache.ts';
import { ModuleHost } from '../../machine/translation/module-host.ts';
import { RecordArena } from '../../machine/translation/record.ts';
import { Handlers } from '../../machine/step-engine/handlers.ts';

const MEMORY_PAGES = 0x200_0000 / 65536;
/** 32-bit protected mode, level 0. */
const MODE_KEY = 1 | (1 << 2);

function farJump(target: number): Uint8Array {
  const code = new Uint8Array(7);
  const view = new DataView(code.buffer);
  view.setUint8(0, 0xea);
  view.setUint32(1, target, true);
  view.setUint16(5, 8, true);
  return code;
}

describe('the code cache', () => {
  function makeCache(): { cache: CodeCache; handlers: Handlers; host: ModuleHost } {
    const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
    const none = (): number => 0;
    const names = ['slowRead', 'slowWrite', 'host', 'moveRun', 'fillRun', 'lookup', 'stepOn', 'enter', 'deliver']; // prettier-ignore
    const functions = Object.fromEntries(names.map((name) => [name, none]));
    const host = new ModuleHost(MEMORY_PAGES, ({ table }) => ({ memory, table, ...functions }));
    const handlers = new Handlers(host, 16);
    const cache = new CodeCache({
      arena: new RecordArena(memory),
      handlers,
      pageBytes: () => new Uint8Array(4096),
      markCodePage: () => undefined,
    });
    return { cache, handlers, host };
  }

  function ask(handlers: Handlers, target: number): number {
    const mode = modeOfKey(MODE_KEY);
    const decoded = decode(farJump(target), 0x1000n, mode);
    if (decoded.kind !== 'instruction') throw new Error(`a far jump is ${decoded.kind}`);
    return handlers.handlerFor(decoded).index;
  }

  it('forgets handlers when a guest has asked for too many shapes', () => {
    const { cache, handlers } = makeCache();
    let asked = 0;
    const indexes = new Set<number>();
    for (; cache.hasRoom(); asked++) indexes.add(ask(handlers, asked));
    expect(indexes.size).toBe(asked);
    expect(asked).toBeLessThan(10_000);
    cache.clear();
    expect(cache.hasRoom()).toBe(true);
    expect(ask(handlers, 0)).toBe(16);
  });

  it('keeps its handlers when it forgets code, until there are too many', () => {
    const { cache, handlers, host } = makeCache();
    const index = ask(handlers, 1);
    handlers.compile();
    const { table } = host;
    expect(table.get(index)).toBeTypeOf('function');
    cache.clear();
    expect(host.table).toBe(table);
    expect(ask(handlers, 1)).toBe(index);
    for (let target = 2; cache.hasRoom(); target++) ask(handlers, target);
    cache.clear();
    expect(host.table).not.toBe(table);
    expect(ask(handlers, 2)).toBe(index);
    handlers.compile();
    expect(host.table.get(index)).toBeTypeOf('function');
  });

  it('gives up a table that many modules have imported, as it keeps them all', () => {
    const { cache, handlers, host } = makeCache();
    const { table } = host;
    let modules = 0;
    for (; cache.hasRoom() && modules < 10_000; modules++) {
      cache.clear();
      host.instantiate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    }
    expect(modules).toBeLessThan(10_000);
    cache.clear();
    expect(cache.hasRoom()).toBe(true);
    expect(host.table).not.toBe(table);
    expect(ask(handlers, 1)).toBe(16);
  });

  it('forgets where breakpoints have been, but not where they are', () => {
    const { cache } = makeCache();
    cache.addBreakpoint(5n);
    let moved = 0n;
    for (; cache.hasRoom() && moved < 100_000n; moved++) {
      cache.addBreakpoint(0x1000n + moved);
      cache.removeBreakpoint(0x1000n + moved);
    }
    expect(moved).toBeLessThan(100_000n);
    cache.clear();
    expect(cache.hasRoom()).toBe(true);
    expect(cache.hasBeenStoppedAt(0x1000n)).toBe(false);
    expect(cache.hasBeenStoppedAt(5n)).toBe(true);
  });

  it('can hold as many breakpoints as a debugger sets', () => {
    const { cache } = makeCache();
    for (let address = 0n; address < 20_000n; address++) cache.addBreakpoint(address);
    expect(cache.hasRoom()).toBe(true);
  });
});

describe('notes', () => {
  it('come once each and end with a word about it', () => {
    const lines: string[] = [];
    const notes = new Notes((text) => lines.push(text));
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 100_000; number++) notes.once(`MSR ${number}`);
    }
    expect(lines.length).toBeLessThan(1000);
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines.at(-1)).toBe('further notes of this kind are left out');
  });
});
