/**
 * Packets by the grammar: the `syntax` of every definition, with its fields filled in from what a
 * client, a careless client and an attacker would write there.
 */
import fc from 'fast-check';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import type { PacketDefinition } from '../../server/packets/definition.ts';

const hexNumber = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((value) => value.toString(16));
const smallNumber = fc.nat(80).map((value) => value.toString(16));
const oddNumber = fc.constantFrom(
  '', '0', '1', '7fffffff', '80000000', 'ffffffff', '100000000', 'ffffffffffffffff', '10000000000000000',
  '1fffffffffffff', '20000000000000', '-1', '-2', 'g', '0x10', '00000000000000001', 'f'.repeat(300),
); // prettier-ignore

/** The kernel's text and data, stacks, page tables; not mapped; not canonical; the very ends. */
const address = fc.oneof(
  fc.constantFrom(
    'ffffffff80101000', 'ffffffff80120000', 'ffffffff80100ffd', 'ffff800000000000', 'ffffff0000011000',
    '401000', '0', 'fff', 'fffffffffffffff0', 'ffffffffffffffff', '7fffffffffff', '800000000000',
    'fee00000', 'ffff8000fee00000',
  ),
  hexNumber,
  oddNumber,
); // prettier-ignore
const length = fc.oneof(fc.constantFrom('0', '1', '4', '8', '40', '1000', '20000'), oddNumber);
const number = fc.oneof(smallNumber, smallNumber, oddNumber);
const threadId = fc.oneof(
  fc.constantFrom('1', '2', '0', '-1', 'p1.1', 'p1.2', 'p1.-1', 'p0.0', 'p-1.-1', 'p1', 'p9.1', 'p1.9', 'p', 'p1.', '01'),
  smallNumber,
  oddNumber,
); // prettier-ignore
const hexBytes = fc
  .uint8Array({ maxLength: 80 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const block = fc
  .uint8Array({ minLength: 560, maxLength: 560 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const binary = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));
const text = (value: string): string => Buffer.from(value, 'latin1').toString('hex');

export const FORBIDDEN_PATHS = [
  '/etc/passwd', '/boot/../etc/passwd', '/boot/kernel.elf/../../etc/passwd', '../etc/passwd', '/dev/zero',
  '/dev/mem', '/proc/self/mem', '/proc/self/root/etc/passwd', '/boot/kernel.elf/', '//boot/kernel.elf',
  '/boot/./kernel.elf', '/boot/kernel.elf\0', 'boot/kernel.elf', '', '/', '.', '/boot', 'just probing',
  'file:///etc/passwd', 'C:\\boot.ini', '__proto__', 'constructor', '/tmp',
]; // prettier-ignore
const path = fc.oneof(
  fc.constantFrom('/boot/kernel.elf', '/tmp/hello.elf', ...FORBIDDEN_PATHS).map(text),
  hexBytes,
);

const MONITOR_COMMANDS = [
  'help', 'threads', 'processes', 'forks', 'forks 1', 'forks 99999999999', 'retaddr', 'retaddr all', 'retaddr 1',
  'info registers', 'info mem', 'info tlb', 'translate 0xffffffff80101000', 'xp /4xg 0x100000', 'xp /99999xg 0',
  'catch', 'catch pf on', 'catch gp on', 'catch pf off', 'catch nothing on', 'break-if', 'break-if sys_fork rdi == 5',
  'break-if sys_fork u64[0] == 1', 'break-if delete all', 'break-if delete 1', 'watch-if 0xffffffff80130000 8 1 == 2',
  'watch-if', 'break-if 0 ((((', 'break-if sys_fork rdi = \0',
  'serial', 'serial 5', 'icount', 'devices', 'jit', '', ' ', 'help help', 'xp', 'no such command', 'xp /4xg $rip',
]; // prettier-ignore
const command = fc.oneof(fc.constantFrom(...MONITOR_COMMANDS).map(text), hexBytes);
const feature = fc.constantFrom(
  'multiprocess+', 'swbreak+', 'hwbreak+', 'fork-events+', 'vfork-events+', 'exec-events+', 'error-message+',
  'xmlRegisters=i386', 'xmlRegisters=', '=', '+', '-', 'a'.repeat(2000), 'QThreadEvents+', 'no-resumed+',
); // prettier-ignore
const action = fc.oneof(
  fc.constantFrom('c', 's', 't', 'C05', 'S05', 'C', 'x', '', 'rffffffff80101000,ffffffff80101010', 'r0,0', 'r1', 'c:'),
  address.map((at) => `r${at},${at}`),
); // prettier-ignore
const annex = fc.oneof(
  fc.constantFrom(
    '',
    '1',
    'target.xml',
    '../target.xml',
    'threads',
    'forks',
    'processes',
    'no such',
  ),
  number,
);

/** Agent expressions: rsp with 64 bytes, a loop, a cut one, division by zero, a large trace, any bytes. */
const EXPRESSIONS = [
  '26000722400c27', '220127', '220027', '210000', '2600', '220122000527', '26000724000fffff0c27', '2c0001',
  '26000722402f27', '2c00012201022d00012e000127', '22012801281a27', '26000730ffff2927', '2600070d402927', '22ff22ff0c27',
]; // prettier-ignore
const expression = fc
  .oneof(fc.constantFrom(...EXPRESSIONS), hexBytes)
  .map((bytes) => `${(bytes.length / 2).toString(16)},${bytes}`);

/** What stands for a field in a syntax, by its name there. */
const FIELDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  addr: address,
  address,
  start: address,
  length,
  count: length,
  offset: length,
  kind: number,
  type: fc.oneof(fc.constantFrom('0', '1', '2', '3', '4', '5'), oddNumber),
  fd: fc.oneof(fc.constantFrom('3', '4', '5', '0'), oddNumber),
  filename: path,
  flags: fc.oneof(fc.constantFrom('0', '1', '2', '40'), oddNumber),
  mode: fc.oneof(fc.constantFrom('0', '1c0'), oddNumber),
  pid: fc.oneof(fc.constantFrom('1', '0', '2', '9', '-1'), oddNumber),
  'thread-id': threadId,
  TID: threadId,
  op: fc.constantFrom('g', 'c', 'm', ''),
  'XX…': fc.oneof(hexBytes, block, binary),
  'r…': hexBytes,
  XX: hexBytes,
  n: number,
  id: number,
  sig: fc.constantFrom('05', '0', 'ff', '100', 'x'),
  'search-pattern': fc.oneof(binary, fc.constantFrom('', '\x7fELF', 'a'.repeat(5000))),
  command,
  feature,
  action,
  annex,
  table: annex,
  number,
  '0|1': fc.constantFrom('0', '1', '2', ''),
  ena: fc.constantFrom('E', 'D', 'E', 'X', ''),
  step: number,
  pass: number,
  'len,expr…': expression,
  end: address,
  slen: number,
  bytes: hexBytes,
  value: address,
  builtin: fc.constantFrom('0', '0', '1', '2'),
  name: hexBytes,
};

const FIELD_NAMES = Object.keys(FIELDS)
  .sort((left, right) => right.length - left.length)
  .map((name) => name.replace(/[|]/g, '\\$&'));
const TOKEN = new RegExp(`(?<![A-Za-z-])(?:${FIELD_NAMES.join('|')})(?![A-Za-z])`, 'g');

/** A syntax's text with its fields and optional parts drawn; `…` behind a part repeats it. */
function fromSyntax(syntax: string): fc.Arbitrary<string> {
  const optional = /\[([^[\]]*(?:\[[^[\]]*\][^[\]]*)*)\](…?)/.exec(syntax);
  if (optional === null) return fields(syntax);
  const [whole, inner, dots] = optional;
  const before = syntax.slice(0, optional.index);
  const after = syntax.slice(optional.index + whole.length);
  const repeated = fc.array(fromSyntax(inner!), { maxLength: dots === '' ? 1 : 4 });
  return fc
    .tuple(fields(before), repeated, fromSyntax(after))
    .map(([first, middle, last]) => first + middle.join('') + last);
}

function fields(piece: string): fc.Arbitrary<string> {
  const parts: fc.Arbitrary<string>[] = [];
  let at = 0;
  for (const match of piece.matchAll(TOKEN)) {
    parts.push(fc.constant(piece.slice(at, match.index)), FIELDS[match[0]]!);
    at = match.index + match[0].length;
  }
  parts.push(fc.constant(piece.slice(at)));
  return fc.tuple(...parts).map((drawn) => drawn.join(''));
}

/** The manual's spaces stand between a name and its first field and are not sent. */
export function packetOf(definition: PacketDefinition): fc.Arbitrary<string> {
  const { name, syntax } = definition;
  const rest = syntax.startsWith(name) ? syntax.slice(name.length) : '';
  return fromSyntax(rest.replaceAll(' ', '')).map((tail) => name + tail);
}

export const ALL_DEFINITIONS = PACKET_CHAPTERS.flatMap(({ packets }) => packets);

/** Where the fuzzed guest often is: its own system calls, its idle loop, anything. */
const traced = fc.constantFrom('1:ffffffff80101000', '1:ffffffff80120000', '2:401000', '1:0');
const traceAction = fc.oneof(
  fc.constantFrom('R03ffffffffffffffff', 'R1', 'R', 'S', 'L', '-', 'M-1,0,ffffffffffffffff', 'M7,0,40', 'Mffff,0,1'),
  expression.map((text) => `X${text}`),
  fc.tuple(number, address, length).map(([base, offset, bytes]) => `M${base},${offset},${bytes}`),
); // prettier-ignore
const frameQuery = fc.oneof(
  fc.constantFrom('ffffffff', '-1', '0', '1', 'tdp:1', 'pc:', 'range:0:ffffffffffffffff', 'outside:0:0'),
  address.map((at) => `pc:${at}`),
); // prettier-ignore

/** Forms of a packet that its one syntax does not show. */
const FURTHER_FORMS = [
  fc
    .tuple(traced, fc.array(traceAction, { maxLength: 4 }))
    .map(([at, actions]) => `QTDP:-${at}:${actions.join('')}`),
  traced.map((at) => `QTDP:${at}:E:0:0`),
  frameQuery.map((query) => `QTFrame:${query}`),
];

/** Any packet of the list, Latin-1. */
export const anyPacket = fc.oneof(...ALL_DEFINITIONS.map(packetOf), ...FURTHER_FORMS);

/** What crashes or hangs QEMU 7.2's stub, or is refused by its peers. */
export const KNOWN_KILLERS = [
  'bs', 'bc', 'D;9', 'D;1', 'vCont;c:p9.-1', 'vCont;s:p9.1', 'qThreadExtraInfo,p1.9', 'vCont;s:p1.2;c:p1.-1',
  'Z0,0,1', 'Z0,0,1', 'z0,0,1', 'k', 'vKill;9', 'Hgp9.9', 'Hc-1', 'T9', 'qAttached:9', 'vAttach;9', 'p', 'pffff',
  'Pffff=00', 'G', 'G00', 'mffffffffffffffff,ffff', 'Mffffffffffffffff,1:00', 'Z9,0,0', 'Z2,ffffffffffffffff,8',
  'Z2,fffffffffffffff8,100000', 'qSearch:memory:0;ffffffffffffffff;a', 'qCRC:0,ffffffffffffffff', 'vCont;r0,0',
  'vFile:open:2f70726f632f312f6d617073,0,0', 'vFile:readlink:2f70726f632f312f657865',
  'vFile:pread:3,ffffffffffffffff,ffffffffffffffff', 'vFile:open:,,', 'qXfer:features:read:target.xml:ffffffff,ffffffff',
  'QRestoreRegisterState:', 'QRestoreRegisterState:1', `m${'f'.repeat(100_000)},1`, `vCont${';c:1'.repeat(4000)}`,
  `Z0,0,1;X1,${'ff'.repeat(1000)}`, 'qRcmd,', 'qRcmd,0', `qRcmd,${'41'.repeat(20_000)}`, 'X0,0:', 'x0,0', 'x0,ffffffff',
]; // prettier-ignore
