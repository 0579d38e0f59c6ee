/** Which tables of `info os` there are before a stub: without one, since the image decides. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ProxyTarget } from '../../../server/proxy/proxy-target.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { guestTables } from '../../../server/target/os-data-tables.ts';
import { freePort } from '../../end-to-end/before-qemu.ts';
import { kernelImage } from '../../kernel/qemu.ts';

async function tablesBefore(path: string): Promise<string[] | undefined> {
  const image = { name: 'kernel.elf', content: readFileSync(path) };
  const target = new ProxyTarget({ host: '127.0.0.1', port: await freePort(), image });
  try {
    return target.osData?.map(({ name }) => name);
  } finally {
    target.dispose();
  }
}

describe('tables before a stub', () => {
  it('are all but the devices for a kernel that is known', async () => {
    expect(await tablesBefore(kernelImage)).toEqual(['threads', 'processes', 'forks', 'syscalls']);
  });

  it('are not announced for another kernel', async () => {
    expect(await tablesBefore('kernel/images/bench.elf')).toBeUndefined();
  });

  it('do not have the system calls and forks of an image that does not tell', () => {
    const nothing = { items: [], complaints: [] };
    const symbols = SymbolTable.fromElf(undefined);
    const register = (): undefined => undefined;
    const tables = guestTables({
      kernel: { systemCalls: [], forkEntryPoints: [] },
      symbols,
      threads: () => ({ listing: nothing, currentTid: undefined, symbols, register }),
      processes: () => nothing,
      forks: () => undefined,
    });
    expect(tables.map(({ name }) => name)).toEqual(['threads', 'processes']);
  });
});
