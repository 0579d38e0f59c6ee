/** What the block engine asks of the engine that executes records one by one. */
import type { Engine } from '../engine.ts';
import type { CodeCache, CodeLocation } from './code-cache.ts';
import type { RecordArena } from './record.ts';
import type { ModuleHost } from './module-host.ts';

export interface RecordEngine extends Engine {
  readonly cache: CodeCache;
  readonly arena: RecordArena;
  readonly modules: ModuleHost;
  /** Where CS:rip is, found without any effect on the guest; undefined where there is no code. */
  location(): CodeLocation | undefined;
}
