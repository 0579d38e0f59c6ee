/** Records the fast paths of entering and leaving the kernel (FastPaths in operations.ts). */
import type { IntegerWidth } from '../instructions/operand.ts';
import type { Condition, FastPaths, Value } from '../instructions/operations.ts';
import { TLB_CONTEXT, TLB_CONTEXT_BYTES } from '../state/layout.ts';
import type { Node } from './nodes.ts';
import { VectorRecorder } from './vector-recorder.ts';

const CR4_SMAP_BIT = 21;
const RFLAGS_AC_BIT = 18;
/** Where CPL stands in the number of the execution mode, which the lookup tag is made of. */
const MODE_KEY_CPL_SHIFT = 5;

export abstract class FastPathRecorder extends VectorRecorder implements FastPaths {
  locate(
    linear: Value,
    lengthBytes: number,
    access: 'read' | 'write',
    by: 'present' | 'system' | 'kernel',
  ): Value {
    const context = by === 'present' ? undefined : this.node(this.kernelContext(by === 'kernel'));
    const node = this.define<Node>({
      kind: 'location',
      linear: this.node(linear),
      lengthBytes,
      isWrite: access === 'write',
      context,
      valueType: 'i64',
      uses: 0,
    });
    return this.value(node, 64);
  }

  isLocated(place: Value): Condition {
    return this.negated(this.isZero(place));
  }

  loadLocated(place: Value, offsetBytes: number, width: IntegerWidth): Value {
    const node = this.define<Node>({
      kind: 'located-load',
      place: this.node(place),
      offsetBytes,
      lengthBytes: width / 8,
      valueType: 'i64',
      uses: 0,
    });
    return this.value(node, width);
  }

  storeLocated(place: Value, offsetBytes: number, value: Value): void {
    this.change({
      kind: 'located-store',
      place: this.node(place),
      offsetBytes,
      lengthBytes: value.width / 8,
      value: this.node(value),
    });
  }

  setPrivilegeLevel(level: Value): void {
    const shift = this.constant(MODE_KEY_CPL_SHIFT, 8);
    const change = this.shiftLeft(this.subtract(level, this.readField('cpl')), shift);
    this.writeField('lookupTag', this.add(this.readField('lookupTag'), change));
    this.writeField('cpl', level);
    const isUser = this.equal(level, this.constant(3, 32));
    const user = this.constant(TLB_CONTEXT.user * TLB_CONTEXT_BYTES, 64);
    const context = this.select(isUser, user, this.kernelContext(true));
    this.writeField('tlbContext', this.truncate(context, 32));
  }

  setUserAccess(isOpen: boolean): void {
    this.setSystemFlag('AC', this.always(isOpen));
    this.writeField('tlbContext', this.truncate(this.kernelContext(true), 32));
  }

  retired(): Value {
    const budget = this.define<Node>({ kind: 'budget', valueType: 'i64', uses: 0 });
    return this.subtract(this.readField('icountAtEnd'), this.value(budget, 64));
  }

  /** As memory/paging-registers.ts has it: SMAP keeps level 0 from user pages unless AC opens them. */
  private kernelContext(heedsAc: boolean): Value {
    const guarded = this.bit(this.readField('cr4'), CR4_SMAP_BIT);
    const isOpen = this.bit(this.readField('rflagsSystem'), RFLAGS_AC_BIT);
    const isGuarded = heedsAc ? this.both(guarded, this.negated(isOpen)) : guarded;
    const offset = (context: number): Value => this.constant(context * TLB_CONTEXT_BYTES, 64);
    return this.select(
      isGuarded,
      offset(TLB_CONTEXT.supervisor),
      offset(TLB_CONTEXT.supervisorUserAccess),
    );
  }
}
