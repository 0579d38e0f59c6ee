import { describe, expect, it } from 'vitest';
import { PACKET_CHAPTERS } from '../../../server/packets/index.ts';
import { definePacket } from '../../../server/packets/definition.ts';
import { PacketRegistry } from '../../../server/packets/registry.ts';
import { reply } from '../../../server/rsp/reply.ts';
import type { Target } from '../../../server/target/target.ts';
import { FakeTarget } from '../../fake-target.ts';

function packet(name: string, isGlued = false) {
  return definePacket({
    name,
    syntax: name,
    purpose: 'a test',
    ...(isGlued && { hasGluedArgument: true }),
    handle: () => reply.ok,
  });
}

function registry(...names: string[]): PacketRegistry {
  return new PacketRegistry([{ title: 'test', packets: names.map((name) => packet(name)) }]);
}

function nameOf(found: PacketRegistry, text: string): string | undefined {
  return found.find(Buffer.from(text), new FakeTarget())?.definition.name;
}

describe('packet registry', () => {
  it('refuses two packets of one name', () => {
    expect(() => registry('m', 'qC', 'm')).toThrow("packet 'm' is defined twice");
  });

  it.each([
    [['QTDP', 'QTDPsrc'], 'QTDPsrc:1:2', 'QTDPsrc'],
    [['QTDPsrc', 'QTDP'], 'QTDP:1:2', 'QTDP'],
    [['qC', 'qCRC'], 'qCRC:1,2', 'qCRC'],
    [['qCRC', 'qC'], 'qC', 'qC'],
    [['vCont', 'vCont?'], 'vCont?', 'vCont?'],
    [['vCont', 'vCont?'], 'vCont;c', 'vCont'],
    [['qXfer:features:read'], 'qXfer:features:read:target.xml:0,10', 'qXfer:features:read'],
    [['qXfer:features:read'], 'qXfer:features:write:target.xml:0,10', undefined],
    [['vFile:open'], 'vFile:opendir:00', undefined],
    [['qRcmd'], 'qRcmd,00', 'qRcmd'],
    [['qRcmd'], 'qRcmdx,00', undefined],
    [['z'], 'z0,1,1', 'z'],
    [['k'], '', undefined],
  ])('with %j finds %s as %s, whatever the order', (names, text, expected) => {
    expect(nameOf(registry(...names), text)).toBe(expected);
  });

  it('finds a packet whose argument is glued to its name', () => {
    const found = new PacketRegistry([
      { title: 'test', packets: [packet('qThreadStopInfo', true), packet('qC')] },
    ]);
    expect(nameOf(found, 'qThreadStopInfo1f')).toBe('qThreadStopInfo');
  });

  it('neither announces nor finds what the target does not offer', () => {
    const all = new PacketRegistry(PACKET_CHAPTERS);
    const { registers, memory, breakpoints } = new FakeTarget();
    const core = { registers, memory, breakpoints } as unknown as Target;
    expect(all.announcements(new FakeTarget())).toContain('qXfer:exec-file:read+');
    expect(all.announcements(core)).not.toContain('qXfer:exec-file:read+');
    expect(all.find(Buffer.from('vFile:setfs:0'), core)).toBeUndefined();
    expect(all.find(Buffer.from('m0,1'), core)).toBeDefined();
  });

  it('holds a purpose and a syntax for every packet', () => {
    for (const { packets } of PACKET_CHAPTERS) {
      for (const { name, syntax, purpose } of packets) {
        expect(syntax.startsWith(name), name).toBe(true);
        expect(purpose.length, name).toBeGreaterThan(5);
      }
    }
  });
});
