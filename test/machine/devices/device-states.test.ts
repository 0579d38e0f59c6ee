import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import type { PortWidth } from '../../../machine/devices/device.ts';
import type { TestBoard } from './test-board.ts';
import { createBoard } from './test-board.ts';

const FOLDER = new URL('../../../machine/devices/', import.meta.url);
const DEVICE_NAMES = createBoard().devices.map((device) => device.name);
/** Log bookkeeping: which notes have been given is no state of the guest's machine. */
const LOG_FIELDS = ['notedOnce'];
/** Containers that are written once, as constants. */
const CONSTANT_FIELDS = ['ports', 'portWidths'];

type Action =
  | { kind: 'read'; port: number; width: PortWidth }
  | { kind: 'write'; port: number; value: number; width: PortWidth }
  | { kind: 'readPage'; name: string; offset: number; lengthBytes: number }
  | { kind: 'writePage'; name: string; offset: number; value: bigint }
  | { kind: 'run'; ticks: bigint }
  | { kind: 'skip'; ticks: bigint }
  | { kind: 'type'; bytes: Uint8Array }
  | { kind: 'acknowledge' };

/** Where the chip has registers in its page. */
function pageOffsets(name: string): fc.Arbitrary<number> {
  if (name === 'hpet') {
    const timers = fc.integer({ min: 0x20, max: 0x2b });
    return fc.oneof(fc.constantFrom(2, 4, 0x1e), timers).map((register) => register * 8);
  }
  // The I/O APIC has two registers only.
  return fc.nat({ max: name === 'io-apic' ? 1 : 0x3f }).map((register) => register * 16);
}

/** Port traffic for the given devices, mixed with time, input and acknowledges. */
function actionsFor(deviceNames: readonly string[]): fc.Arbitrary<Action[]> {
  const board = createBoard();
  const devices = deviceNames.map((name) => board.device(name));
  const ports = devices.flatMap((device) =>
    device.ports.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => first + index),
    ),
  );
  const width = fc.constantFrom<PortWidth[]>(8, 8, 8, 16, 32);
  const value = fc.oneof(fc.nat({ max: 0xff }), fc.nat({ max: 0xffff_ffff }));
  const kinds: fc.Arbitrary<Action>[] = [
    fc.bigInt({ min: 0n, max: 3_000_000n }).map((ticks) => ({ kind: 'run', ticks })),
    fc.bigInt({ min: 0n, max: 50_000_000n }).map((ticks) => ({ kind: 'skip', ticks })),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ kind: 'type', bytes })),
    fc.constant<Action>({ kind: 'acknowledge' }),
  ];
  if (ports.length > 0) {
    const port = fc.constantFrom(...ports);
    const read = fc.record({ kind: fc.constant('read' as const), port, width });
    const write = fc.record({ kind: fc.constant('write' as const), port, value, width });
    kinds.push(read, write, write, write);
  }
  for (const { name } of devices.filter((device) => device.page !== undefined)) {
    const offset = pageOffsets(name);
    kinds.push(
      fc.record({
        kind: fc.constant('readPage' as const),
        name: fc.constant(name),
        offset,
        lengthBytes: fc.constantFrom(1, 2, 4, 8),
      }),
      fc.record({
        kind: fc.constant('writePage' as const),
        name: fc.constant(name),
        offset,
        value: fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
      }),
    );
  }
  return fc.array(fc.oneof(...kinds), { maxLength: 40 });
}

function perform(board: TestBoard, action: Action): unknown {
  const { portBus, clock, interruptController } = board;
  switch (action.kind) {
    case 'read':
      return portBus.read(action.port, action.width);
    case 'write': {
      portBus.write(action.port, action.value, action.width);
      return;
    }
    case 'readPage':
      return board.device(action.name).readPage?.(action.offset, action.lengthBytes);
    case 'writePage': {
      board.device(action.name).writePage?.(action.offset, 4, action.value);
      return;
    }
    case 'run': {
      clock.run(action.ticks);
      return;
    }
    case 'skip':
      clock.skip(action.ticks);
      {
        clock.fireDue();
        return;
      }
    case 'type': {
      board.uart.receive(action.bytes);
      return;
    }
    case 'acknowledge':
      if (!interruptController.hasInterrupt()) return undefined;
      return interruptController.acknowledge();
  }
}

/** What the guest can tell and what has left the board, after each action. */
function observe(board: TestBoard, actions: readonly Action[]): unknown[] {
  return actions.map((action) => {
    const result = perform(board, action);
    const { output, events, interruptController } = board;
    const effects = events.filter((event) => /^(exit|reset|power off)/.test(event));
    return [
      result,
      output.splice(0),
      effects.length,
      interruptController.hasInterrupt(),
      interruptController.hasNmi(),
      board.clock.nextEventAt(),
    ];
  });
}

function saveBoard({ clock, devices }: TestBoard) {
  return structuredClone({
    icount: clock.icount,
    clock: clock.save(),
    devices: devices.map((device) => ({ name: device.name, state: device.save() })),
  });
}

function loadBoard(board: TestBoard, saved: ReturnType<typeof saveBoard>): void {
  board.clock.icount = saved.icount;
  board.clock.load(saved.clock);
  for (const { name, state } of saved.devices) board.device(name).load(state);
}

function expectSameRun(driven: readonly string[], runs: number): void {
  const actions = actionsFor(driven);
  fc.assert(
    fc.property(actions, actions, actions, (before, after, unrelated) => {
      const original = createBoard();
      observe(original, before);
      original.events.length = 0;
      const saved = saveBoard(original);
      const restored = createBoard();
      observe(restored, unrelated);
      restored.events.length = 0;
      loadBoard(restored, saved);
      expect(saveBoard(restored)).toEqual(saved);
      expect(observe(restored, after)).toEqual(observe(original, after));
      expect(saveBoard(restored)).toEqual(saveBoard(original));
    }),
    { numRuns: runs },
  );
}

describe('a board that was saved and loaded goes on as the one that was not', () => {
  test.each(DEVICE_NAMES)('with traffic to %s', (name) => {
    expectSameRun([name, 'pic8259'], 150);
  });

  test('with traffic to all devices at once', () => {
    expectSameRun(DEVICE_NAMES, 300);
  });
});

describe('every device', () => {
  test.each(DEVICE_NAMES)('%s refuses a state that lacks a field or has a foreign one', (name) => {
    const device = createBoard().device(name);
    const state = device.save();
    for (const field of Object.keys(state)) {
      const rest = Object.fromEntries(Object.entries(state).filter(([name]) => name !== field));
      expect(() => device.load(rest), field).toThrow(new RegExp(field));
    }
    if (Object.keys(state).length > 0) {
      expect(() => device.load({ ...state, foreign: 1 })).toThrow(/foreign/);
    }
  });

  test.each(DEVICE_NAMES)('%s saves a copy that later traffic does not change', (name) => {
    const actions = actionsFor([name]);
    fc.assert(
      fc.property(actions, (traffic) => {
        const board = createBoard();
        const state = board.device(name).save();
        const copy = structuredClone(state);
        observe(board, traffic);
        expect(state).toEqual(copy);
      }),
      { numRuns: 50 },
    );
  });

  test('is after a reset of the board as at power-on', () => {
    const fresh = saveBoard(createBoard());
    const board = createBoard();
    for (const port of board.devices.flatMap(({ ports }) => ports.map(({ first }) => first))) {
      board.portBus.write(port, 0x5a5a_5a5a, 32);
    }
    board.uart.receive(Uint8Array.of(1, 2, 3));
    expect(saveBoard(board).devices).not.toEqual(fresh.devices);
    for (const device of board.devices) device.reset();
    expect(saveBoard(board).devices).toEqual(fresh.devices);
    expect(saveBoard(board).clock.events.map(({ name, at }) => [name, at])).toEqual(
      fresh.clock.events.map(({ name, at }) => [name, at]),
    );
  });

  test.each(DEVICE_NAMES)('%s describes itself in one line', (name) => {
    const text = createBoard().device(name).describe();
    expect(text).not.toBe('');
    expect(text).not.toContain('\n');
  });
});

/** The fields of each class as its source declares them. */
function declaredFields(): { place: string; name: string; isReadonly: boolean; text: string }[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'));
  return files.flatMap((file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    return source.statements.filter(ts.isClassDeclaration).flatMap((declaration) => {
      const isSaved = declaration.members.some((member) => member.name?.getText() === 'save');
      if (!isSaved) return [];
      return declaration.members.filter(ts.isPropertyDeclaration).map((field) => ({
        place: `${file}: ${declaration.name?.text ?? ''}.${field.name.getText()}`,
        name: field.name.getText(),
        isReadonly: (ts.getCombinedModifierFlags(field) & ts.ModifierFlags.Readonly) !== 0,
        text: field.initializer?.getText() ?? '',
      }));
    });
  });
}

describe('what a device remembers', () => {
  test('is in its state object and nowhere else', () => {
    const fields = declaredFields();
    expect(fields.length).toBeGreaterThan(30);
    const mutable = fields.filter(({ isReadonly, name }) => !isReadonly && name !== 'state');
    expect(mutable.map(({ place }) => place)).toEqual([]);
  });

  test('does not hide in a container that is itself readonly', () => {
    const hidden = declaredFields().filter(
      ({ name, text }) =>
        /^(\[|new (Array|Map|Set|Uint|Int|Big|Weak))/.test(text) &&
        ![...LOG_FIELDS, ...CONSTANT_FIELDS].includes(name),
    );
    expect(hidden.map(({ place }) => place)).toEqual([]);
  });

  test.each(DEVICE_NAMES)('%s saves every field of its state', (name) => {
    const device = createBoard().device(name);
    const { state } = device as unknown as { state?: object };
    expect(Object.keys(device.save())).toEqual(Object.keys(state ?? {}));
  });
});
