/**
 * The proxy before a stub that means harm: it answers garbage, half packets, wrong lengths, reports stops
 * that nobody asked for, hangs up at any moment. Each request of a debugger in front has one answer,
 * nothing throws, and once the stub comes to its senses the proxy serves as ever. `FUZZ_STUBS=N` is the
 * number of such stubs, `FUZZ_SEED=N` draws others.
 */
import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { ProxyTarget } from '../../server/proxy/proxy-target.ts';
import { Random } from '../machine/block-engine/random-program.ts';
import { KERNEL_PATH } from '../machine/small-guest.ts';
import { packet, ScriptedStub, type Answers } from '../server/proxy/scripted-stub.ts';
import { SessionHarness } from '../session-harness.ts';
import { SEED } from './vanishing-clients.ts';

const STUBS = Number(process.env['FUZZ_STUBS'] ?? 12);
const REQUESTS_PER_STUB = 25;
const KERNEL = { name: 'kernel.elf', content: readFileSync(KERNEL_PATH) };
const NAMES = 'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip'.split(' ');
const DESCRIPTION = `<target>${NAMES.map((name) => `<reg name="${name}" bitsize="64"/>`).join('')}</target>`;

const REQUESTS = [
  '?', 'g', 'p10', 'P10=0000000000000000', 'mffffffff80100000,40', 'Mffffffff80100000,1:00', 'Hg1', 'qfThreadInfo',
  'qXfer:features:read:target.xml:0,1000', 'qXfer:threads:read::0,1000', 'qXfer:osdata:read:forks:0,1000',
  'Z0,ffffffff80100000,1', 'z0,ffffffff80100000,1', 'Z2,ffffffff80100000,8', 'qRcmd,746872656164732d', 'qRcmd,666f726b73',
  'qRcmd,666f726b73207265636f7264206f6e', 'qUnknown', 'QUnknown:1', 'QNonStop:1', 'vFile:open:2f,0,0', 'jThreadsInfo',
]; // prettier-ignore

/** What a stub that means well says. */
function honest(request: string): string {
  if (request.startsWith('qXfer:features')) return `l${DESCRIPTION}`;
  if (request.startsWith('g')) return '00'.repeat(8 * NAMES.length);
  if (request.startsWith('m')) return '00'.repeat(Number.parseInt(request.split(',')[1]!, 16));
  if (request.startsWith('qqemu')) return '0';
  if (request === '\x03' || /^[cs?]/.test(request)) return 'T05thread:01;';
  return /^[ZzMPGQHD]|^qRcmd/.test(request) ? 'OK' : '';
}

/** Answers of stubs that do not. */
function hostile(random: Random): Answers {
  const bytes = (length: number): Uint8Array =>
    Uint8Array.from({ length }, () => random.below(256));
  const evil: readonly ((text: string) => readonly (Uint8Array | 'close')[])[] = [
    (text) => [packet(text.slice(0, random.below(text.length + 1)))],
    (text) => [packet(text + 'f'.repeat(random.below(5000)))],
    (text) => [packet(text).subarray(0, random.below(text.length + 4)), 'close'],
    (text) => [packet(text), packet(text), packet('T05thread:01;')],
    (text) => [packet('T02'), packet('T05watch:ffffffffffffffffff;'), packet(text)],
    (text) => [packet('W00'), packet('X09'), packet('N'), packet(text)],
    (text) => [packet(`O${'41'.repeat(100)}`), packet(text)],
    (text) => [Buffer.from(`$${text}#00`), packet(text)],
    () => [bytes(random.below(300)), packet(Buffer.from(bytes(50)).toString('latin1'))],
    () => [packet('m')],
    () => [packet('l<reg name="rip" bitsize="1e308" regnum="-1"/><reg <reg <reg ')],
    () => [packet('E01')],
    () => [packet('')],
    () => ['close'],
  ];
  return (request) => {
    const text = honest(request);
    return random.below(6) === 0 ? random.pick(evil)(text) : [packet(text)];
  };
}

const failures: unknown[] = [];
const fail = (error: unknown): void => void failures.push(error);
process.on('unhandledRejection', fail);
let close: () => void = () => undefined;
afterEach(() => close());

/** Asks all kinds of things, runs now and then. */
async function besiege(harness: SessionHarness<ProxyTarget>, random: Random): Promise<void> {
  for (let count = 0; count < REQUESTS_PER_STUB; count++) {
    const isRun = random.below(5) === 0;
    const request = isRun ? random.pick(['vCont;c', 'vCont;s', 'c', 's']) : random.pick(REQUESTS);
    await answered(harness, request, isRun);
  }
}

/** The one answer to a request; what runs is broken into until it stops. */
async function answered(
  harness: SessionHarness<ProxyTarget>,
  request: string,
  isRun: boolean,
): Promise<string> {
  const answers = (await harness.send(request)).filter((text) => !/^O(?!K)/.test(text));
  for (let turn = 0; answers.length === 0 && turn < 400; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const isAwaited = isRun && turn % 10 === 9;
    const more = isAwaited ? await harness.sendRaw(Uint8Array.of(3)) : await harness.answers();
    answers.push(...more.filter((text) => !/^O(?!K)/.test(text)));
  }
  expect(answers, `answers to ${request}`).toHaveLength(1);
  return answers[0]!;
}

it(`serves its debugger before ${STUBS} hostile stubs`, { timeout: 3_600_000 }, async () => {
  for (let seed = SEED; seed < SEED + STUBS; seed++) {
    const random = new Random(seed);
    const evil = hostile(random);
    let isHostile = false;
    const stub = await ScriptedStub.start((request) =>
      isHostile ? evil(request) : [packet(honest(request))],
    );
    const target = new ProxyTarget({
      host: '127.0.0.1',
      port: stub.port,
      image: KERNEL,
      recordsForks: seed % 2 === 0,
    });
    close = () => {
      target.dispose();
      stub.dispose();
    };
    await target.whenReady();
    const harness = new SessionHarness({ target });
    isHostile = true;
    await besiege(harness, random);
    isHostile = false;
    await harness.session.dispose();
    expect(harness.internalErrors, `seed ${seed}`).toEqual([]);
    expect(failures, `seed ${seed}`).toEqual([]);
    const next = new SessionHarness({ target, seat: harness.seat });
    await expect
      .poll(() => answered(next, 'mffffffff80100000,4', false), { timeout: 20_000 })
      .toBe('00000000');
    await next.session.dispose();
    close();
  }
});
