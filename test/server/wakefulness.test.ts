import { describe, expect, it } from 'vitest';

import { PollingChoice } from '../../server/wakefulness.ts';

/** How many of `exchanges` were polled for, by a client that is so quick either way. */
function polled(
  choice: PollingChoice,
  exchanges: number,
  pollingMs: number,
  sleepingMs: number,
): number {
  let count = 0;
  for (let index = 0; index < exchanges; index++) {
    if (choice.polls) count += 1;
    choice.learn(choice.polls ? pollingMs : sleepingMs);
  }
  return count;
}

describe("the choice between polling and sleeping for a client's next packet", () => {
  it('polls where that is quicker', () => {
    expect(polled(new PollingChoice(), 10_000, 0.03, 0.1)).toBeGreaterThan(9_500);
  });

  it('sleeps where that is quicker', () => {
    expect(polled(new PollingChoice(), 10_000, 0.08, 0.04)).toBeLessThan(500);
  });

  it('is not misled by one long wait', () => {
    const choice = new PollingChoice();
    choice.learn(0.9);
    expect(polled(choice, 10_000, 0.03, 0.06)).toBeGreaterThan(9_500);
  });

  it('changes its mind when the machine does', () => {
    const choice = new PollingChoice();
    polled(choice, 5_000, 0.08, 0.04);
    expect(polled(choice, 10_000, 0.03, 0.1)).toBeGreaterThan(8_500);
  });

  it('learns nothing from a client that waits for its user', () => {
    const choice = new PollingChoice();
    expect(polled(choice, 10_000, 5, 5)).toBe(10_000);
  });
});
