/** Bytecode or an expression that cannot be used, or an evaluation that failed: one line. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
}
