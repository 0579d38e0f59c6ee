/**
 * The past of our own machine for debuggers: searched on a second machine, which has the debugger's
 * breakpoints but none of the server's hooks, so that a search that is given up has changed nothing.
 */
import {
  Retrospect,
  type Machine,
  type RecordedMachine,
  type Replica,
} from '../../../machine/index.ts';
import type { KernelAwareness } from '../../awareness/awareness.ts';
import { GuestView } from '../../awareness/guest-view.ts';
import { MachineAgent } from '../machine-agent.ts';
import { MachineBreakpoints } from '../machine-breakpoints.ts';
import type { RegisterSet } from '../register-set.ts';
import type { ReverseAction, TargetReverse, ThreadNumber } from '../target.ts';
import { ReverseRunner } from './reverse-runner.ts';

export interface Recording {
  readonly machine: RecordedMachine;
  /** Another machine, built in the same way. */
  readonly makeReplica: () => Machine;
}

export interface PastParts {
  readonly recording: Recording;
  readonly kernel: KernelAwareness | undefined;
  readonly set: RegisterSet;
  /** Everybody's. */
  readonly breakpoints: MachineBreakpoints;
  /** The machine is somewhere else now. */
  readonly onTravel: () => void;
  readonly currentThread: () => ThreadNumber;
  /** Processes go on one by one, and the machine goes back as a whole. */
  readonly hasProcesses: () => boolean;
  readonly start: (runner: ReverseRunner) => void;
  /** Halts the target if it is going back. */
  readonly giveUp: () => void;
}

export class MachinePast implements TargetReverse {
  readonly #parts: PastParts;
  /** Made when it is first wanted. */
  #replica: Replica | undefined;

  constructor(parts: PastParts) {
    this.#parts = parts;
  }

  resume(action: ReverseAction): void {
    const { recording, onTravel, currentThread, hasProcesses, start } = this.#parts;
    const { machine, makeReplica } = recording;
    this.#replica ??= this.#withStops(makeReplica());
    const retrospect = new Retrospect(machine.history, this.#replica);
    const replica = this.#replica.machine;
    const isPossible = !hasProcesses();
    start(
      new ReverseRunner({
        machine,
        replica,
        retrospect,
        action,
        isPossible,
        onTravel,
        currentThread,
      }),
    );
  }

  giveUp(): void {
    this.#parts.giveUp();
  }

  #withStops(machine: Machine): Replica {
    const { kernel, set } = this.#parts;
    const agent = new MachineAgent(machine, new GuestView(machine, kernel), set);
    const stops = new MachineBreakpoints(machine, agent);
    return {
      machine,
      setStops: (areSet) => {
        stops.removeAll();
        if (areSet) this.#parts.breakpoints.copyStopsTo(stops);
      },
      stopped: (hit) => this.#parts.breakpoints.takeOver(stops.stoppedFor(hit)),
    };
  }
}
