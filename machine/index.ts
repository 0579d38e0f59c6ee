/** The machine's public surface: all that the server may import. */
export type { BootModule } from './boot/boot-protocol.ts';
export { ImageError } from './boot/boot-protocol.ts';
export type {
  CodeHold,
  DeviceDescription,
  EngineKind,
  ExecutionHook,
  Hotness,
  JitReport,
  MachineControl,
  MachineOptions,
  MachineView,
  MappingWalkEnd,
  PageMapping,
  RunOptions,
  StopPredicate,
} from './machine-interface.ts';
export { disassemble, type DisassembledInstruction } from './decoder/disassemble.ts';
export { DEFAULT_ENGINE, DEFAULT_MEMORY_BYTES, Machine } from './machine.ts';
export type {
  RaisedException,
  StopReason,
  SystemCallStop,
  TripleFaultReport,
  WatchKind,
} from './stop-reason.ts';
export type { StateValue } from './devices/device.ts';
export { HistoryError, type Landing } from './time-travel/history.ts';
export { RecordedMachine } from './time-travel/recorded-machine.ts';
export { Retrospect, type Replica, type Search } from './time-travel/retrospect.ts';
export { checkedCore } from './time-travel/checked-core.ts';
export type { CoreState, MachineState } from './time-travel/machine-state.ts';
export { MOST_PAGES_IN_RUN, type PageRun } from './time-travel/saved-pages.ts';
export { StateError } from './time-travel/state-error.ts';
export { TICKS_PER_INSTRUCTION, TICKS_PER_SECOND } from './clock/virtual-clock.ts';
export type { RamRun } from './memory/used-frames.ts';
export {
  explainWalk,
  pagingMode,
  type WalkExplanation,
  type WalkStep,
} from './memory/explain-walk.ts';
