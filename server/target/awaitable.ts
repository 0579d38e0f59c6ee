/** A value, at once or by a promise. */
export type Awaitable<Value> = Value | Promise<Value>;

/** Uses a value at once when it is there, and otherwise when it comes. */
export function whenKnown<Value, Result>(
  value: Awaitable<Value>,
  use: (value: Value) => Awaitable<Result>,
): Awaitable<Result> {
  return value instanceof Promise ? value.then(use) : use(value);
}
