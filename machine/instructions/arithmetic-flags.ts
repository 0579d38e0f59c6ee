/** The six flags that arithmetic sets (Intel SDM 1 §3.4.3.1). */
import type { Flag } from './operations.ts';

export const ARITHMETIC_FLAGS: readonly Flag[] = ['CF', 'PF', 'AF', 'ZF', 'SF', 'OF'];
