/**
 * What other servers answer, packet by packet, for the README's comparison. From reading and running
 * QEMU 7.2 (system emulation, gdbstub/gdbstub.c), gdbserver 13.1 (gdbserver/server.cc) and rr
 * (src/GdbServerConnection.cc). What was not looked up is left out and shows as `?`.
 */

/** `yes`, `no`, or in a few words how far it goes; absent: not looked up. */
export interface PeerSupport {
  readonly qemu?: string;
  readonly gdbserver?: string;
  readonly rr?: string;
}

const YES = 'yes';
const NO = 'no';

function of(qemu?: string, gdbserver?: string, rr?: string): PeerSupport {
  return {
    ...(qemu !== undefined && { qemu }),
    ...(gdbserver !== undefined && { gdbserver }),
    ...(rr !== undefined && { rr }),
  };
}

const ALL = of(YES, YES, YES);
const NONE = of(NO, NO, NO);
const ONLY_GDBSERVER = of(NO, YES, NO);
const ONLY_RR = of(NO, NO, YES);
const ONLY_QEMU = of(YES, NO, NO);
const NOT_QEMU = of(NO, YES, YES);

function each(names: string, support: PeerSupport): [string, PeerSupport][] {
  return names.split(' ').map((name) => [name, support]);
}

/** By the name of the packet in `server/packets/`. */
export const PEER_PACKETS: ReadonlyMap<string, PeerSupport> = new Map([
  ...each('qSupported qAttached', ALL),
  ...each('QStartNoAckMode qSymbol', NOT_QEMU),
  ...each('QNonStop QCatchSyscalls', ONLY_GDBSERVER),
  ...each('!', of(YES, YES)),
  ...each('qRcmd', of(YES, YES, NO)),
  ...each('g M', ALL),
  ...each('G', of(YES, YES, NO)),
  ...each('p P', of('once target.xml was read', NO, YES)),
  ...each('m', of('up to 2048 bytes, whole or not at all', YES, YES)),
  ...each('x', ONLY_RR),
  ...each('X', NOT_QEMU),
  ...each('qSearch:memory qCRC', ONLY_GDBSERVER),
  ...each('Qqemu.PhyMemMode qqemu.PhyMemMode', ONLY_QEMU),
  ...each('Z', of('twice is two; no conditions', YES, 'conditions on integers')),
  ...each('z', of('as often as inserted', YES, YES)),
  ...each('? c', ALL),
  ...each('s', of(YES, YES, NO)),
  ...each('C', of(YES, YES)),
  ...each('S', of(undefined, YES)),
  ...each('vCont?', ALL),
  ...each('vCont', of('no range step', YES, 'no range step')),
  ...each('bs bc', of('only replaying a recording', NO, YES)),
  ...each('vStopped vCtrlC', ONLY_GDBSERVER),
  ...each('H T qC qfThreadInfo qsThreadInfo', ALL),
  ...each('qThreadExtraInfo', of('silent about a wrong id', NO, YES)),
  ...each('qXfer:features:read', ALL),
  ...each('qXfer:threads:read qXfer:osdata:read qXfer:traceframe-info:read', ONLY_GDBSERVER),
  ...each('qXfer:exec-file:read', NOT_QEMU),
  ...each('qXfer:memory-map:read', NONE),
  ...each('qXfer:libraries-svr4:read', ONLY_GDBSERVER),
  ...each('qXfer:libraries:read', of(NO, YES)),
  ...each('vFile:setfs vFile:open vFile:pread vFile:close', NOT_QEMU),
  ...each('vFile:fstat vFile:readlink', ONLY_GDBSERVER),
  ...each('QTDP QTDPsrc QTDV QTro QTEnable QTDisable QTinit QTStart QTStop', ONLY_GDBSERVER),
  ...each('qTStatus qTP qTV qTfP qTsP qTfV qTsV qTfSTM qTsSTM qTMinFTPILen', ONLY_GDBSERVER),
  ...each('QTBuffer:circular QTBuffer:size QTDisconnected QTNotes', ONLY_GDBSERVER),
  ...each('qTBuffer QTFrame', ONLY_GDBSERVER),
  ...each('D', of('an unknown pid crashes it', YES, YES)),
  ...each('k', of('ends QEMU', 'kills', 'ends rr')),
  ...each('vKill', of('ends QEMU', 'kills', 'ignored')),
  ...each('R', ONLY_GDBSERVER),
  ...each('vAttach', of('to clusters of CPUs', YES, NO)),
  ...each('QThreadSuffixSupported QListThreadsInStopReply', ONLY_RR),
  ...each('QEnableErrorStrings qGDBServerVersion qHostInfo qProcessInfo jThreadsInfo', NONE),
  ...each('qSupportsDetachAndStayStopped qWatchpointSupportInfo qThreadStopInfo', of(NO, NO)),
  ...each('qShlibInfoAddr', of(NO, NO)),
  ...each('qMemoryRegionInfo QSaveRegisterState QRestoreRegisterState', ONLY_RR),
]);

/** Packets that a peer answers and we may not; once they are in our list they move up there. */
export const PACKETS_ELSEWHERE: readonly (readonly [string, PeerSupport])[] = [
  ['bc', of('only while replaying', NO, YES)],
  ['bs', of('only while replaying', NO, YES)],
  ['vRun', of(NO, YES, 'to an event')],
  ...each('vFile:pwrite vFile:unlink', ONLY_GDBSERVER),
  ...each('QPassSignals', NOT_QEMU),
  ...each('QProgramSignals QThreadEvents', ONLY_GDBSERVER),
  ['qXfer:auxv:read', NOT_QEMU],
  ['qXfer:siginfo:read', NOT_QEMU],
  ['qXfer:btrace:read', of(NO, 'on Intel CPUs', NO)],
  ['F', of('semihosting', NO, NO)],
  ...each('_M _m', ONLY_RR),
];

/** Ours, where "yes" would say too much. */
export const OUR_LIMITS: ReadonlyMap<string, string> = new Map([
  ['vAttach', 'refused in words'],
  ['qXfer:libraries-svr4:read', 'with `--symbols`'],
  ['qXfer:libraries:read', 'to lldb'],
  ['qXfer:memory-map:read', 'of emulators that declare one, by the library'],
  ['qShlibInfoAddr', 'to lldb'],
  ['k', 'detaches'],
  ['vKill', 'detaches'],
  ['QThreadEvents', 'no use: nothing runs while gdb would have it on'],
]);

/** What no single packet shows. Ours are those that tests of this repository prove. */
export const BEHAVIOUR: readonly (readonly [string, string, PeerSupport])[] = [
  ['threads are those of the guest system', YES, of('one a CPU', 'of the host', 'of the host')],
  ['stop replies carry rip, rsp and rbp', YES, of(NO, YES, NO)],
  ['a breakpoint stop says so (`swbreak`, `hwbreak`)', YES, NOT_QEMU],
  ['conditions evaluated in the server', YES, of(NO, YES, 'on integers')],
  ['breakpoint commands (dprintf) in the server', YES, ONLY_GDBSERVER],
  ['range stepping', YES, ONLY_GDBSERVER],
  ['inserting a breakpoint twice is inserting it once', YES, NOT_QEMU],
  ['memory of an address space that is not on the CPU', YES, of(NO, 'of its processes')],
  ['damaged packets are found by their checksum', YES, of(YES, YES, NO)],
];
