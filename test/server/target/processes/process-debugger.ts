/** A client that speaks as gdb 13 does, with the real kernel's tests as its guest. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readElf } from '../../../../server/symbols/elf-file.ts';
import { SymbolTable } from '../../../../server/symbols/symbol-table.ts';
import { MachineTarget } from '../../../../server/target/machine-target.ts';
import { kernelMachine, KERNEL_PATH } from '../../../machine/small-guest.ts';
import { SessionHarness } from '../../../session-harness.ts';
import { KERNEL_IMAGE, symbolAddress } from '../../fake-exo.ts';

export const OF_GDB =
  'multiprocess+;swbreak+;hwbreak+;fork-events+;vfork-events+;exec-events+;vContSupported+';
const STOP_LIMIT_MS = 20_000;

const PROGRAM = SymbolTable.fromElf(
  readElf(readFileSync(join(dirname(KERNEL_PATH), 'protection.elf'))),
);

export function userAddress(name: string): string {
  return PROGRAM.find(name)!.address.toString(16);
}

export function kernelAddress(name: string): string {
  return symbolAddress(name).toString(16);
}

export class Debugger {
  readonly target: MachineTarget;
  readonly harness: SessionHarness<MachineTarget>;

  constructor(isWanted = true) {
    const machine = kernelMachine('test');
    this.target = new MachineTarget({ machine, image: KERNEL_IMAGE, imageName: 'kernel.elf' });
    this.target.processes!.isWanted = isWanted;
    this.harness = new SessionHarness({ target: this.target });
  }

  /** From power on, halted; with what gdb sends first. */
  static async attached(): Promise<Debugger> {
    const client = new Debugger();
    await client.ask(`qSupported:${OF_GDB}`);
    await client.ask('Hg0');
    return client;
  }

  ask(packet: string): Promise<string> {
    return this.harness.ask(packet);
  }

  /** Resumes and waits for the stop reply; breaks in when it has not come by so many looks. */
  async stop(packet: string, mostLooks = Number.POSITIVE_INFINITY): Promise<string> {
    const answers = await this.harness.send(packet);
    const end = Date.now() + STOP_LIMIT_MS;
    for (let looks = 1; answers.length === 0; looks++) {
      if (Date.now() > end) throw new Error(`no stop after ${packet}`);
      const isEnough = looks === mostLooks;
      const more = isEnough ? this.harness.sendRaw(Buffer.of(3)) : this.harness.answers();
      answers.push(...(await more));
    }
    if (answers.length !== 1) throw new Error(`${answers.length} answers to ${packet}`);
    return answers[0]!;
  }

  /** Goes on, telling forks away as gdb does by default, until a stop of another kind. */
  async stopAfterForks(packet: string): Promise<string> {
    for (;;) {
      const stop = await this.stop(packet);
      const child = /^T05fork:p([0-9a-f]+)\./.exec(stop)?.[1];
      if (child === undefined) return stop;
      await this.ask(`D;${child}`);
    }
  }

  /** Runs to the ring-3 fork of `test_copy_on_write`; says who is who, as `pPID.TID`. */
  async forkInRing3(): Promise<{ parent: string; child: string }> {
    await this.ask(`Z0,${userAddress('test_copy_on_write')},1`);
    await this.stopAfterForks('vCont;c:p1.-1');
    await this.ask(`z0,${userAddress('test_copy_on_write')},1`);
    const stop = await this.stop('vCont;c:p1.-1');
    const [, child, parent] = /^T05fork:(p[^;]+);thread:(p[^;]+);/.exec(stop)!;
    return { parent: parent!, child: child! };
  }

  async threads(): Promise<string[]> {
    const xml = await this.ask('qXfer:threads:read::0,ffff');
    return [...xml.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!);
  }
}

/** `p5.6` is a thread of process `5`. */
export const processOf = (id: string): string => /^p([^.]+)/.exec(id)![1]!;
