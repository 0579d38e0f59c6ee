/**
 * Takes the state of a machine out and puts it into another, or the same: the run that goes on from
 * there is the same to the bit. Saving changes nothing. Both only between two instructions.
 */
import type { VirtualClock } from '../clock/event-queue.ts';
import type { Cpu } from '../cpu/cpu.ts';
import { updateGuestWatches } from '../cpu/debug-registers.ts';
import type { Device } from '../devices/device.ts';
import type { CoreState, MachineState, SavedDevice } from './machine-state.ts';
import { loadCpu, saveCpu } from './saved-cpu.ts';
import { loadPages } from './saved-pages.ts';
import { StateError } from './state-error.ts';

/** What there is to save of a machine, but for RAM and its serial line. */
export interface SavedParts {
  readonly cpu: Cpu;
  readonly clock: VirtualClock;
  /** In the order in which they are loaded. */
  readonly devices: readonly Device[];
}

/** All but RAM. */
export function saveCore({ cpu, clock, devices }: SavedParts): CoreState {
  return {
    memoryBytes: cpu.memory.physical.ramBytes,
    cpu: saveCpu(cpu.state),
    isHalted: cpu.halted,
    clock: clock.save(),
    devices: devices.map((device) => {
      const { name, version } = device;
      return { name, version, state: device.save() };
    }),
    translations: cpu.memory.saveTranslations(),
  };
}

/**
 * RAM must be all zero and no code known. Throws `StateError` for a state that does not fit or is not
 * sound; the machine is then of no use.
 */
export function loadState(parts: SavedParts, { core, pages }: MachineState): void {
  const { cpu, clock, devices } = parts;
  const { memory } = cpu;
  if (core.memoryBytes !== memory.physical.ramBytes) {
    throw new StateError(`it is of a machine with ${core.memoryBytes} bytes of RAM`);
  }
  loadPages(memory.physical.ram, pages);
  loadCpu(cpu.state, core.cpu);
  cpu.halted = core.isHalted;
  refusing(() => {
    clock.load(core.clock);
    loadDevices(devices, core.devices);
    clock.checkRestored();
    updateGuestWatches(cpu);
    memory.updateTlbContext();
    memory.loadTranslations(core.translations);
  });
}

function loadDevices(devices: readonly Device[], saved: readonly SavedDevice[]): void {
  const foreign = saved.find(({ name }) => !devices.some((device) => device.name === name));
  if (foreign !== undefined) throw new StateError(`there is no device ${foreign.name} here`);
  for (const device of devices) {
    const found = saved.find(({ name }) => name === device.name);
    if (found === undefined) throw new StateError(`it lacks the device ${device.name}`);
    if (found.version !== device.version) {
      throw new StateError(
        `${device.name} is of version ${found.version}, this program has ${device.version}`,
      );
    }
    device.load(found.state);
  }
}

/** Devices, clock and TLB say what does not fit by an `Error`. */
function refusing(work: () => void): void {
  try {
    work();
  } catch (error) {
    throw error instanceof Error ? new StateError(error.message) : error;
  }
}
