/** The README's comparison with other servers, made from the list of packets. */
import { readFileSync } from 'node:fs';
import { Machine, RecordedMachine } from '../../machine/index.ts';
import { MachineTarget } from '../../server/target/machine-target.ts';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import { KERNEL_PATH } from '../machine/small-guest.ts';
import { BEHAVIOUR, OUR_LIMITS, PACKETS_ELSEWHERE, PEER_PACKETS } from './peers.ts';
import type { PeerSupport } from './peers.ts';

export const COMPARISON_HEADS = ['packet, behaviour', 'exoscope', 'QEMU 7.2', 'gdbserver 13', 'rr'];

interface ComparedPacket {
  readonly name: string;
  readonly cells: readonly string[];
}

/** Packets of one chapter with equal cells share a row; then what only others have; then behaviour. */
export function comparisonRows(): string[][] {
  const kernel = { image: readFileSync(KERNEL_PATH), imageName: 'kernel.elf' };
  const recording = {
    machine: new RecordedMachine(kernel),
    makeReplica: () => new Machine(kernel),
  };
  const target = new MachineTarget({ ...kernel, recording, machine: recording.machine });
  const names = new Set<string>();
  const chapters = PACKET_CHAPTERS.map(({ packets }) =>
    packets.map(({ name, isOffered }) => {
      names.add(name);
      const offered = isOffered?.(target) === false ? 'no' : 'yes';
      const ours = OUR_LIMITS.get(name) ?? offered;
      return { name, cells: cellsOf(ours, PEER_PACKETS.get(name) ?? elsewhereOf(name)) };
    }),
  );
  target.dispose();
  const elsewhere = PACKETS_ELSEWHERE.filter(([name]) => !names.has(name)).map(
    ([name, support]) => ({ name, cells: cellsOf(OUR_LIMITS.get(name) ?? 'no', support) }),
  );
  const behaviour = BEHAVIOUR.map(([what, ours, support]) => [what, ...cellsOf(ours, support)]);
  return [...[...chapters, elsewhere].flatMap(groupedRows), ...behaviour];
}

/** A packet that was only elsewhere until now, or one that nobody has looked up. */
function elsewhereOf(name: string): PeerSupport {
  return PACKETS_ELSEWHERE.find(([other]) => other === name)?.[1] ?? {};
}

function cellsOf(ours: string, { qemu, gdbserver, rr }: PeerSupport): string[] {
  return [ours, qemu, gdbserver, rr].map((text) => (text === 'no' ? '–' : (text ?? '?')));
}

function groupedRows(packets: readonly ComparedPacket[]): string[][] {
  const groups = new Map<string, { names: string[]; cells: readonly string[] }>();
  for (const { name, cells } of packets) {
    const key = cells.join('|');
    const group = groups.get(key) ?? { names: [], cells };
    group.names.push(`\`${name}\``);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ names, cells }) => [names.join(' '), ...cells]);
}
