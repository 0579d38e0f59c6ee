/** The proxy before a stub of a 32-bit CPU, whose registers have other names, numbers and widths. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ProxyTarget } from '../../../server/proxy/proxy-target.ts';
import { SessionHarness } from '../../session-harness.ts';
import { packet, ScriptedStub } from './scripted-stub.ts';

const NAMES = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip', 'eflags'];
const DESCRIPTION = `<target><architecture>i386</architecture>${NAMES.map((name) => `<reg name="${name}" bitsize="32"/>`).join('')}</target>`;
/** eip is 0x7c00, esp 0x6f08. */
const REGISTERS = `${'00'.repeat(16)}086f0000${'00'.repeat(12)}007c0000${'00'.repeat(4)}`;

let stub: ScriptedStub;
let target: ProxyTarget;
let harness: SessionHarness<ProxyTarget>;

function answer(request: string): string {
  if (request.startsWith('qXfer:features')) return `l${DESCRIPTION}`;
  if (request === 'g') return REGISTERS;
  if (request === 'p8') return '007c0000';
  return /^[c?]/.test(request) ? 'T05thread:01;' : /^[PZz]/.test(request) ? 'OK' : '';
}

beforeEach(async () => {
  stub = await ScriptedStub.start((request) => [packet(answer(request))]);
  target = new ProxyTarget({ host: '127.0.0.1', port: stub.port });
  await target.whenReady();
  harness = new SessionHarness({ target });
});

afterEach(async () => {
  await harness.session.dispose();
  target.dispose();
  stub.dispose();
});

it('is to lldb an i386', async () => {
  const [info] = await harness.send('qHostInfo');
  expect(info).toContain(`triple:${Buffer.from('i386-unknown-none-elf').toString('hex')}`);
  expect(info).toContain('ptrsize:4;');
});

it('says where the CPU is', async () => {
  const answers = await harness.send('qRcmd,74687265616473'); // threads
  const said = answers.map((text) => Buffer.from(text.slice(1), 'hex').toString('latin1'));
  expect(said.join('')).toContain('the CPU is at 0x0000000000007c00');
});

it('tells a breakpoint from a step, and expedites eip, esp and ebp', async () => {
  await harness.send('qSupported:hwbreak+;swbreak+');
  expect(await harness.send('Z0,7c00,1')).toEqual(['OK']);
  const answers = await harness.send('vCont;c');
  const stop = await until(async () => {
    answers.push(...(await harness.answers()));
    return answers.find((text) => text.startsWith('T'));
  });
  expect(stop).toContain('swbreak:;');
  expect(stop).toContain('08:007c0000;04:086f0000;05:00000000;');
});

it('resumes where it is told to, at eip', async () => {
  await harness.send('c1234');
  await until(() => stub.requests.includes('P8=34120000') || undefined);
});

async function until<Result>(
  look: () => Result | undefined | Promise<Result | undefined>,
): Promise<Result> {
  for (let turn = 0; turn < 200; turn++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it did not come');
}
