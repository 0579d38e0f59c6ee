/** Instructions as text, for a debugger's user: decoder and Intel syntax in one call. */
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import { decode } from './decoder.ts';
import { intelSyntax } from './intel-syntax.ts';

export interface DisassembledInstruction {
  readonly lengthBytes: number;
  /** `(bad)` for bytes that are no instruction of this CPU. */
  readonly text: string;
  /** Undefined where there is none: the target of a direct jump or call. */
  readonly target: bigint | undefined;
}

/**
 * The instruction at the start of `bytes`, of which 15 are always enough; undefined when it goes on
 * beyond their end. `address` is its offset in CS.
 */
export function disassemble(
  bytes: Uint8Array,
  address: bigint,
  codeWidth: ExecutionMode['codeWidth'],
): DisassembledInstruction | undefined {
  const decoded = decode(bytes, address, modeOf(codeWidth));
  switch (decoded.kind) {
    case 'truncated':
      return undefined;
    case 'undefined':
      return { lengthBytes: 1, text: '(bad)', target: undefined };
    case 'instruction': {
      const jump = decoded.operands.find((operand) => operand.kind === 'relative');
      const text = intelSyntax(decoded);
      return { lengthBytes: decoded.lengthBytes, text, target: jump?.target };
    }
  }
}

function modeOf(codeWidth: ExecutionMode['codeWidth']): ExecutionMode {
  return {
    codeWidth,
    stackWidth: codeWidth,
    longMode: codeWidth === 64,
    cpl: 0,
    sse: 'enabled',
    x87: 'enabled',
  };
}
