/** A condition in words becomes the bytes that gdb would have sent for it. */
import { bytecodeOf } from './expression-code.ts';
import { parseExpression, type ExpressionNames } from './expression-parser.ts';

/** Throws `AgentError`, one line, for text that is no expression. */
export function compileCondition(text: string, names: ExpressionNames): Uint8Array {
  return bytecodeOf(parseExpression(text, names));
}
