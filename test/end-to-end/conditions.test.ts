/** Conditions and commands that gdb sends as bytecode and the machine evaluates, with the real gdb. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

/* gdb compiles no convenience variable: conditions get their numbers by `eval`. */
const BENCH = 'kernel/images/bench.elf';

describe.skipIf(missing('gdb'))('breakpoints that the machine decides about', () => {
  let server: ServerProcess;

  beforeAll(async () => {
    server = await ServerProcess.start(BENCH, '--append', 'spin');
    await server.serial('bench spin');
  });
  afterAll(() => server.stop());

  const attach = (): string[] => [
    'set breakpoint condition-evaluation target',
    `target remote ${server.address}`,
  ];

  it('sends the condition along and stops only where it is true', async () => {
    const { printed, everything } = await gdb(
      ...attach(),
      'set $start = bench_counter',
      'set debug remote 1',
      'eval "break bench_hot if bench_counter == %lu", bench_counter + 20000',
      'continue',
      'set debug remote 0',
      'p bench_counter - $start',
      'info breakpoints',
    );
    // The log goes to standard error, which keeps no order with the rest.
    expect(everything).toMatch(/\$Z0,[0-9a-f]+,1;X[0-9a-f]+,[0-9a-f]+/);
    expect(everything).toContain('Breakpoint 1, bench_hot');
    expect(everything.match(/T05swbreak/g)).toHaveLength(1);
    expect(printed[7]).toContain('= 20000');
    expect(printed[8]).toContain('breakpoint already hit 1 time');
  });

  it('takes several conditions for the same place as alternatives', async () => {
    const { printed } = await gdb(
      ...attach(),
      'set $start = bench_counter',
      'eval "break bench_hot if bench_counter == %lu", bench_counter + 500',
      'eval "break bench_hot if bench_counter == %lu", bench_counter + 300',
      'continue',
      'p bench_counter - $start',
      'continue',
      'p bench_counter - $start',
    );
    expect(printed[6]).toContain('= 300');
    expect(printed[8]).toContain('= 500');
  });

  it('understands registers, memory, && and || and signed comparison', async () => {
    const { printed } = await gdb(
      ...attach(),
      'set $start = bench_counter',
      'eval "break bench_hot if (bench_counter > %lu && (long)$rsp < 0 && $cs == 8) || bench_counter - %lu == 77 || (bench_counter >= %lu && *(int*)&bench_counter != 0)", bench_counter + 40, bench_counter, bench_counter + 90',
      'continue',
      'p bench_counter - $start',
    );
    expect(printed[5]).toMatch(/= (41|77)/);
  });

  it('stops where a condition cannot be evaluated', async () => {
    const { printed } = await gdb(
      ...attach(),
      'set $start = bench_counter',
      'break bench_hot if *(long*)0x7f0000000000 == 0',
      'continue',
      'p bench_counter - $start <= 1',
    );
    expect(printed[4]).toContain('Breakpoint 1, bench_hot');
    expect(printed[5]).toContain('= 1');
  });

  it('follows a condition that is changed, and one that is taken away', async () => {
    const { printed } = await gdb(
      ...attach(),
      'break bench_hot if 0',
      'set $start = bench_counter',
      'eval "condition 1 bench_counter == %lu", bench_counter + 10',
      'continue',
      'p bench_counter - $start',
      'condition 1',
      'continue',
      'p bench_counter - $start',
    );
    expect(printed[6]).toContain('= 10');
    expect(printed[9]).toContain('= 11');
  });

  it('prints by agent-printf while the machine runs on, without stopping', async () => {
    const { printed } = await gdb(
      ...attach(),
      'set dprintf-style agent',
      'set $start = bench_counter',
      'dprintf bench_hot,"hot %ld cr3 %#lx|%05d\\n", bench_counter & 3, $cr3, 42',
      'eval "condition 1 bench_counter < %lu", bench_counter + 5',
      // gdb sends commands only where all its breakpoints are dprintfs: this one stands behind.
      'eval "break *((char*)bench_hot + 7) if bench_counter == %lu", bench_counter + 1000',
      'continue',
      'p bench_counter - $start',
    );
    // gdb steps over the place without it if the attach has found the guest there.
    const lines = printed[7]?.match(/^hot [0-3] cr3 0x[0-9a-f]+\|00042$/gm);
    expect([4, 5]).toContain(lines?.length);
    expect(printed[8]).toContain('= 1000');
  });

  it('sees computed registers in a condition', async () => {
    const { printed } = await gdb(
      ...attach(),
      'set $from = $icount',
      'eval "break bench_hot if $icount > %lu && $cpl == 0 && $ret_rsp == *(long*)$rsp", $icount + 100000',
      'continue',
      'p $icount - $from > 100000 && $icount - $from < 100100',
    );
    expect(printed[5]).toContain('= 1');
  });
});
