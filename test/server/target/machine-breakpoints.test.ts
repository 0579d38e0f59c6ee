import { describe, expect, it } from 'vitest';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { MachineAgent } from '../../../server/target/machine-agent.ts';
import { MachineBreakpoints } from '../../../server/target/machine-breakpoints.ts';
import { BREAKPOINT_KIND, type Breakpoint } from '../../../server/target/target.ts';
import { smallGuest } from '../../machine/small-guest.ts';

function make(): MachineBreakpoints {
  const machine = smallGuest([0xf4]);
  return new MachineBreakpoints(
    machine,
    new MachineAgent(machine, new GuestView(machine, undefined)),
  );
}

function at(address: number, kind: Breakpoint['kind'] = BREAKPOINT_KIND.write): Breakpoint {
  return { kind, address: BigInt(address), lengthBytes: 4, process: 1 };
}

describe('watchpoints', () => {
  it('are refused beyond a thousand, until one goes; breakpoints are not counted', () => {
    const breakpoints = make();
    const [owner, other] = [{}, {}];
    for (let index = 0; index < 100; index++) {
      breakpoints.insert(owner, at(0x10_0000 + index, BREAKPOINT_KIND.software));
    }
    for (let index = 0; index < 1000; index++) {
      expect(breakpoints.insert(owner, at(4 * index))).toBe(true);
    }
    expect(breakpoints.insert(owner, at(4000))).toBe(false);
    expect(breakpoints.insert(other, at(0))).toBe(true);
    expect(breakpoints.insert(owner, at(0x10_2000, BREAKPOINT_KIND.software))).toBe(true);
    breakpoints.remove(owner, at(4));
    expect(breakpoints.insert(owner, at(4000))).toBe(true);
  });
});
