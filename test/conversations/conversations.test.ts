import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { replay } from './conversation.ts';

const FOLDER = join(import.meta.dirname);

describe('conversations with a toy target', () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
    it(`goes as written in ${file}`, async () => {
      const { expected, actual } = await replay(join(FOLDER, file));
      expect(actual).toBe(expected);
    });
  }
});
