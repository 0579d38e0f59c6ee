/** A machine's state as one text: equal texts are equal states. */
import { createHash } from 'node:crypto';
import type { MachineState } from '../../../machine/index.ts';

export function stateText({ core, serial, pages }: MachineState): string {
  const plain = JSON.stringify(
    core,
    (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value),
    1,
  );
  const hash = createHash('sha256').update(serial);
  const numbers = [...pages].flatMap((run) => {
    hash.update(run.bytes);
    return run.numbers;
  });
  return `${plain}\npages ${numbers.join(' ')}\ncontent ${hash.digest('hex')}`;
}
