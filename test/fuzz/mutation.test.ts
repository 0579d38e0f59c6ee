/** A run of any length keeps a bounded corpus of short inputs. */
import { describe, expect, it } from 'vitest';
import { Corpus, transitionsOf } from './mutation.ts';

const SEEDS = [Uint8Array.of(0x3f)];
const MOST_KEPT = 8192;

describe('the corpus', () => {
  it('keeps no more than its slots, whatever behaves anew', () => {
    const corpus = new Corpus(1, SEEDS);
    const input = new Uint8Array(100);
    for (let count = 0; count < 200_000; count++) corpus.learn(input, [`behaviour ${count}`]);
    expect(corpus.seen).toBeGreaterThan(MOST_KEPT / 2);
    expect(corpus.seen).toBeLessThanOrEqual(MOST_KEPT);
    expect(corpus.keptBytes).toBeLessThanOrEqual(100 * MOST_KEPT + 1);
  });

  it('keeps the shortest input of each behaviour', () => {
    const corpus = new Corpus(1, SEEDS);
    for (const length of [50, 20, 30]) corpus.learn(new Uint8Array(length), ['one', 'two']);
    corpus.learn(new Uint8Array(10), ['one']);
    expect(corpus.seen).toBe(2);
    expect(corpus.keptBytes).toBe(1 + 10 + 20);
  });

  it('draws what a seed says, never longer than a limit', () => {
    const [left, right] = [1, 1].map((seed) => new Corpus(seed, [new Uint8Array(100_000)]));
    for (let count = 0; count < 100; count++) {
      const drawn = left!.draw();
      expect(right!.draw()).toEqual(drawn);
      expect(drawn.length).toBeLessThanOrEqual(4096);
    }
  });
});

describe('a behaviour', () => {
  it('is the shape of an answer after that of another', () => {
    expect(transitionsOf(['OK', 'E01'])).toEqual(['>OK 2', 'OK 2>E01', 'E01>']);
    expect(transitionsOf([])).toEqual(['>']);
    expect(transitionsOf(['12ab'])).toEqual(transitionsOf(['98fe']));
  });
});
