import { beforeEach, describe, expect, it } from 'vitest';
import { findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { ForkLog } from '../../../server/awareness/fork-log.ts';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { MONITOR_COMMANDS, withoutDuplicates } from '../../../server/monitor/index.ts';
import { MonitorCommands, findCommand } from '../../../server/monitor/monitor-commands.ts';
import { treeOrder } from '../../../server/monitor/processes.ts';
import { callBefore } from '../../../server/monitor/stack-scan.ts';
import type { MonitorAccess } from '../../../server/target/target.ts';
import { FakeExo, KERNEL_IMAGE, KERNEL_SYMBOLS, symbolAddress } from '../fake-exo.ts';
import { FakeMachine } from '../fake-machine.ts';

let exo: FakeExo;
let commands: MonitorCommands;
let resets: number;
let hasQuit: boolean;

function commandsFor(machine: FakeMachine, isAware = true): MonitorCommands {
  const kernel = isAware ? findKernelAwareness(KERNEL_IMAGE) : undefined;
  return new MonitorCommands({
    machine,
    guest: new GuestView(machine, kernel),
    forks: kernel === undefined ? undefined : new ForkLog(machine, kernel),
    symbols: KERNEL_SYMBOLS,
    reset: () => {
      resets++;
    },
    quit: () => (hasQuit = true),
  });
}

beforeEach(() => {
  exo = new FakeExo();
  commands = commandsFor(exo.machine);
  resets = 0;
  hasQuit = false;
});

interface Asked {
  readonly text: string;
  readonly failure: string | undefined;
  readonly afterReply: (() => void) | undefined;
}

function ask(commandLine: string, access: MonitorAccess = 'control', selectedTid = 0): Asked {
  let text = '';
  const output = (part: string): void => {
    text += part;
  };
  const { failure, afterReply } = commands.run({ commandLine, access, selectedTid, output });
  return { text, failure, afterReply };
}

function shell(): void {
  const rip = symbolAddress('context_switch_resume');
  exo.setThreads([
    { tid: 0, name: 'idle' },
    { tid: 3, name: 'shell', state: 3, waitReason: 2, registers: { rip, rsp: STACK + 0x3f00n } },
  ]);
  exo.setCurrent(0);
}

const STACK = 0xffff_ff00_0001_0000n;

describe('finding a command', () => {
  it('takes unique prefixes of each word', () => {
    expect(findCommand(MONITOR_COMMANDS, 'i r').command.name).toBe('info registers');
    expect(findCommand(MONITOR_COMMANDS, '  thr ').command.name).toBe('threads');
    expect(findCommand(MONITOR_COMMANDS, 'forks 3').args).toEqual(['3']);
  });

  it('explains what is ambiguous, incomplete or unknown in one line', () => {
    expect(ask('re').failure).toBe('"re" is ambiguous: retaddr, reset');
    expect(ask('info').failure).toContain('needs one more word: info registers');
    expect(ask('info q').failure).toBe('no command "info q"; `help` lists them');
    expect(ask('nonsense').failure).toBe('no command "nonsense"; `help` lists them');
  });

  it('refuses two commands of one name', () => {
    const [first] = MONITOR_COMMANDS;
    expect(() => withoutDuplicates([first!, first!])).toThrow('two monitor commands');
  });

  it('lets a looker look and not control', () => {
    expect(ask('icount', 'look').failure).toBeUndefined();
    expect(ask('reset', 'look').failure).toContain('a debugger is attached');
    expect(resets).toBe(0);
  });
});

describe('help', () => {
  it('lists every command, and explains each with syntax and sample', () => {
    const list = ask('help').text;
    for (const { syntax, sample, name } of MONITOR_COMMANDS) {
      expect(list).toContain(syntax);
      const explained = ask(`help ${name}`).text;
      expect(explained).toContain(sample.split('\n')[0]!);
    }
    expect(ask('').text).toBe(list);
  });
});

describe('every command', () => {
  it('answers bad arguments with one line', () => {
    for (const { name } of MONITOR_COMMANDS) {
      const { failure, text } = ask(`${name} ${'bogus '.repeat(5)}`);
      expect(failure, name).toMatch(/^[^\n]+$/);
      expect(text, name).toBe('');
    }
  });

  it('answers on a machine that has not booted, with or without a known kernel', () => {
    for (const isAware of [true, false]) {
      commands = commandsFor(new FakeMachine(), isAware);
      for (const { name } of MONITOR_COMMANDS) {
        const { failure, text } = ask(name);
        expect(failure ?? text, name).not.toBe('');
      }
    }
  });
});

describe('threads', () => {
  it('marks the one on the CPU and shows what others wait for', () => {
    shell();
    const lines = ask('threads').text.split('\n');
    expect(lines[1]).toMatch(/^\* +0 +0 +idle +running +-/);
    expect(lines[2]).toMatch(/^ +3 +3 +shell +waiting +child +0x\w+ <context_switch_resume>/);
    expect(lines[2]).toMatch(/ 256\/16384$/);
  });

  it('says so when the list is corrupt', () => {
    shell();
    exo.setNextThread(exo.threadAddress(3), exo.threadAddress(0));
    expect(ask('threads').text).toContain('warning: thread list:');
  });

  it('names the CPU alone before the kernel has threads', () => {
    expect(ask('threads').text).toMatch(/^the CPU is at 0x0000000000001000; no thread/);
  });
});

describe('processes', () => {
  it('are a tree with the endings of zombies', () => {
    exo.setProcesses([
      { pid: 1, ppid: 0 },
      { pid: 3, ppid: 2, state: 2, status: 42 << 8 },
      { pid: 2, ppid: 1 },
    ]);
    const lines = ask('processes').text.split('\n');
    expect(lines[1]).toMatch(/^ +1 {2}process1/);
    expect(lines[2]).toMatch(/^ +2 {4}process2/);
    expect(lines[3]).toMatch(/^ +3 {6}process3 +zombie .* exit 42$/);
  });

  it('are all shown when their parents go round in a circle', () => {
    const process = (pid: number, parentPid: number) => ({
      pid,
      parentPid,
      name: '',
      state: '',
      mode: 'user' as const,
      forkCount: 0,
      startTick: 0n,
      address: 0n,
    });
    expect(treeOrder([process(1, 2), process(2, 1), process(3, 3)])).toHaveLength(3);
  });
});

describe('forks', () => {
  const registers = { rbx: 1n, rbp: 2n, r12: 3n, r13: 4n, r14: 5n, r15: 6n, rsp: STACK + 0x3f00n };
  const caller = symbolAddress('syscall_dispatch') + 5n;

  function fork(captured: Record<string, bigint> = registers): void {
    for (const [name, value] of Object.entries(registers)) exo.machine.registers.set(name, value);
    exo.machine.putU64(registers.rsp, caller);
    exo.machine.jump(symbolAddress('sys_fork'));
    exo.machine.run({ budget: 1 });
    const child = { ...captured, rsp: registers.rsp + 8n, rip: caller, rax: 0n, cs: 8n };
    exo.recordFork({ parentTid: 0, childTid: 9, captured, derivedRip: caller, child });
  }

  it('are listed newest first with their return address', () => {
    shell();
    fork();
    fork();
    const lines = ask('forks').text.split('\n');
    expect(lines[1]).toMatch(
      /^ +2 {2}fork {2}tid 0 pid 0 {2}tid 9 pid 9 .*<syscall_dispatch\+5> +sound$/,
    );
    expect(lines[2]).toMatch(/^ +1 /);
  });

  it('show one in full and expose a lie', () => {
    shell();
    fork({ ...registers, r12: 0x666n });
    const { text } = ask('forks 1');
    expect(text).toMatch(/^r12 +0x0{13}666 +0x0{15}3 .*<< captured is not what the CPU had/m);
    expect(text).toMatch(/^rsp .*[^<]$/m);
    expect(text).toContain('verdict: FALSE RECORD: captured r12 never stood in the CPU');
  });

  it('say which numbers there are', () => {
    expect(ask('forks').text).toBe('no fork since boot\n');
    expect(ask('forks 7').failure).toBe('there is no fork 7; there were 0 since boot');
    expect(ask('forks x').failure).toBe('the number of a fork must be a number from 1 on, not "x"');
  });
});

describe('retaddr', () => {
  const caller = symbolAddress('syscall_dispatch') + 0x20n;

  function call(bytes: readonly number[]): void {
    exo.machine.writeLinear(caller - BigInt(bytes.length), Uint8Array.from(bytes));
  }

  beforeEach(() => {
    shell();
    exo.machine.registers.set('rsp', STACK + 0x3fd0n);
    exo.machine.putU64(STACK + 0x3fd0n, 0x1234n);
    exo.machine.putU64(STACK + 0x3fe0n, caller);
  });

  it('shows the quadword at rsp first, whatever it is, then what follows a call', () => {
    call([0xe8, 0, 0, 0, 0]);
    const lines = ask('retaddr').text.split('\n');
    expect(lines[0]).toContain('tid 0 "idle": rsp 0xffffff0000013fd0');
    expect(lines[1]).toMatch(/rsp\+0 +0x0{12}1234 {2}not after a call$/);
    expect(lines[2]).toMatch(
      /rsp\+16 +0x\w+ <syscall_dispatch\+32> {2}after call syscall_dispatch/,
    );
    expect(lines).toHaveLength(4);
  });

  it('takes a tid, all, an address, a symbol or a register', () => {
    expect(ask('retaddr 3').text).toContain('tid 3 "shell"');
    expect(ask('retaddr all').text.match(/^tid/gm)).toHaveLength(2);
    expect(ask('retaddr $rsp+16').text).toContain('from 0xffffff0000013fe0');
    expect(ask('retaddr sys_fork').failure).toBeUndefined();
    expect(ask('retaddr 99').failure).toContain('no thread has tid 99');
    expect(ask('retaddr 0x1').text).toContain('nothing is mapped there');
  });

  it('shows the thread on the CPU when none is named, whatever gdb has listed last', () => {
    expect(ask('retaddr', 'look', 3).text).toContain('tid 0 "idle"');
  });

  const forms: readonly (readonly [string, readonly number[], string])[] = [
    ['call rel32', [0xe8, 1, 0, 0, 0], 'direct'],
    ['call rax', [0xff, 0xd0], 'indirect'],
    ['call r11', [0x41, 0xff, 0xd3], 'indirect'],
    ['call [rax]', [0xff, 0x10], 'indirect'],
    ['call [rax+8]', [0xff, 0x50, 8], 'indirect'],
    ['call [rax+disp32]', [0xff, 0x90, 0, 1, 0, 0], 'indirect'],
    ['call [rsp+8]', [0xff, 0x54, 0x24, 8], 'indirect'],
    ['call [rax*8+disp32]', [0xff, 0x14, 0xc5, 0, 0, 0, 0], 'indirect'],
    ['call [rip+disp32]', [0xff, 0x15, 0x10, 0, 0, 0], 'memory'],
    ['jmp rax', [0xff, 0xe0], 'none'],
    ['nothing', [0x90, 0x90], 'none'],
  ];
  it.each(forms)('recognises %s before a return address', (_name, bytes, kind) => {
    call([0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90]);
    call(bytes);
    expect(callBefore(exo.machine, caller)?.kind ?? 'none').toBe(kind);
  });
});

describe('the other commands', () => {
  it('translate walks the page tables entry by entry', () => {
    const machine = new FakeMachine();
    machine.putU64(0x3000n, 0x4003n);
    machine.putU64(0x4000n, 0x5003n);
    machine.putU64(0x5000n, 0xe3n);
    commands = commandsFor(machine);
    const { text } = ask('translate 0x1234');
    expect(text).toContain('PML4E 0x0000000000003000: 0x0000000000004003 --------W');
    expect(text).toContain('PDE   0x0000000000005000: 0x00000000000000e3 --PDA---W');
    expect(text).toContain('0x0000000000001234 is at physical 0x0000000000001234');
    expect(ask('translate 0x40000000').text).toContain('not present');
  });

  it('xp prints as QEMU does', () => {
    const machine = new FakeMachine();
    machine.writePhysical(0x400n, Buffer.from('Ab\n\0\xff\xff\xff\xff', 'latin1'));
    commands = commandsFor(machine);
    expect(ask('xp /2xw 0x400').text).toBe('0000000000000400: 0x000a6241 0xffffffff\n');
    expect(ask('xp /1xg 0x400').text).toBe('0000000000000400: 0xffffffff000a6241\n');
    expect(ask('xp /4cb 0x400').text).toBe("0000000000000400: 'A' 'b' '\\n' '\\x00'\n");
    expect(ask('xp /1dw 0x404').text).toBe('0000000000000404:         -1\n');
    expect(ask('xp /3i 0x400').failure).toContain("use gdb's x/i");
    expect(ask('xp 0xffffffffff').failure).toBe('0xffffffffff is not RAM');
  });

  it('serial shows the last lines without control characters', () => {
    exo.machine.serialText = 'one\r\ntwo\x1b[2J\nthree\n';
    expect(ask('serial 2').text).toBe('two[2J\nthree\n');
    exo.machine.serialText = '';
    expect(ask('serial').text).toBe('nothing yet\n');
  });

  it('icount tells instructions and time', () => {
    exo.machine.icount = 250_000_000n;
    expect(ask('icount').text).toBe('250000000 instructions, 2.500000000 s of virtual time\n');
  });

  it('reset ends with the line to type in gdb', () => {
    expect(ask('reset').text).toMatch(
      /; type: maint flush dcache, then maint flush register-cache\n$/,
    );
    expect(ask('reset', 'control', 3).text).toMatch(
      /type: thread 1, then maint flush dcache, then/,
    );
    expect(resets).toBe(2);
  });

  it('quit ends the server when its answer has left', () => {
    const { afterReply } = ask('quit');
    expect(hasQuit).toBe(false);
    afterReply?.();
    expect(hasQuit).toBe(true);
  });

  it('info mem merges neighbours and info tlb shows bits', () => {
    const machine = new FakeMachine();
    const kernel = 0xffff_ffff_8000_0000n;
    machine.tables.set(undefined, [
      { linear: 0x1000n, physical: 0x5000n, lengthBytes: 0x1000, isUser: true },
      { linear: 0x2000n, physical: 0x7000n, lengthBytes: 0x1000, isUser: true },
      { linear: kernel, physical: 0n, lengthBytes: 0x1000, isWritable: false, isNoExecute: true },
    ]);
    commands = commandsFor(machine);
    expect(ask('info mem').text).toBe(
      '0000000000001000-0000000000003000 0000000000002000 urw\n' +
        'ffffffff80000000-ffffffff80001000 0000000000001000 -r-\n',
    );
    expect(ask('info tlb').text).toContain('ffffffff80000000: 0000000000000000 X--------\n');
    machine.registers.set('cr0', 0x11n);
    expect(ask('info mem').text).toBe('PG disabled\n');
  });

  it('info mem and info tlb say in a last line that there is more than they show', () => {
    const machine = new FakeMachine();
    commands = commandsFor(machine);
    for (const command of ['info mem', 'info tlb']) {
      machine.mappingWalkEnd = 'complete';
      expect(ask(command).text).not.toContain('warning');
      machine.mappingWalkEnd = 'cut';
      expect(ask(command).text).toMatch(/\nwarning: [^\n]* the rest is not shown\n$/);
    }
  });
});
