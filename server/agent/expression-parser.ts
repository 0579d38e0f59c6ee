/**
 * Reads an expression that a user typed: C's operators with C's precedence (ISO C 6.5) over numbers,
 * registers, symbols and memory. Left out: assignment, calls, ?:, members, floating point.
 *
 *     rdi == 5 && *(u32*)(rsp + 8) > 0x100 || !bench_counter
 *
 * A variable of 1, 2, 4 or 8 bytes stands for its value; a function, an array and &name for an
 * address. u32[A] is *(u32*)(A).
 */
import {
  binary,
  constant,
  convert,
  dereference,
  logical,
  unary,
  type BinaryOperator,
  type Expression,
} from './expression-tree.ts';
import { mistake, quoted, tokensOf, type Token } from './expression-tokens.ts';
import {
  C_TYPE_WORDS,
  LITERAL,
  namedType,
  typeOfWords,
  U64,
  unsignedOf,
  type IntegerType,
  type ValueType,
} from './value-type.ts';

/** What names mean. Registers come before symbols, unless they are asked for by $. */
export interface ExpressionNames {
  /** gdb's number and the width of a register that is a number. */
  register(name: string): { readonly number: number; readonly bits: number } | undefined;
  symbol(name: string): ExpressionSymbol | undefined;
}

export interface ExpressionSymbol {
  readonly address: bigint;
  /** Bytes, 0: not known. */
  readonly size: bigint;
  readonly isFunction: boolean;
}

/** Parentheses, unary operators and the like within each other. */
const DEEPEST_NESTING = 128;

const PRECEDENCE: Readonly<Record<string, number>> = {
  '||': 1, '&&': 2, '|': 3, '^': 4, '&': 5, '==': 6, '!=': 6, '<': 7, '<=': 7, '>': 7, '>=': 7,
  '<<': 8, '>>': 8, '+': 9, '-': 9, '*': 10, '/': 10, '%': 10,
}; // prettier-ignore

/** Throws `AgentError`, one line with a column, for text that is no expression. */
export function parseExpression(text: string, names: ExpressionNames): Expression {
  return new Parser(tokensOf(text), names).whole();
}

class Parser {
  private readonly tokens: readonly Token[];
  private readonly names: ExpressionNames;
  private next = 0;
  private depth = 0;

  constructor(tokens: readonly Token[], names: ExpressionNames) {
    this.tokens = tokens;
    this.names = names;
  }

  whole(): Expression {
    if (this.peek().kind === 'end') throw mistake('an expression is missing', this.peek());
    const expression = this.operators(1);
    const rest = this.peek();
    if (rest.kind !== 'end')
      throw mistake(`an operator is expected, not ${quoted(rest.text)}`, rest);
    return expression;
  }

  /** Operands joined by operators that bind at least so strongly, from left to right. */
  private operators(weakest: number): Expression {
    let left = this.nested(() => this.operand());
    for (;;) {
      const token = this.peek();
      const strength = token.kind === 'operator' ? (PRECEDENCE[token.text] ?? 0) : 0;
      if (strength < weakest) return left;
      this.next++;
      const right = this.nested(() => this.operators(strength + 1));
      const { text } = token;
      left =
        text === '&&' || text === '||'
          ? logical(text, left, right)
          : binary(text as BinaryOperator, left, right, token);
    }
  }

  private operand(): Expression {
    const token = this.take();
    switch (token.kind) {
      case 'number':
        return this.postfix(constant(token.value, token.value >> 63n === 0n ? LITERAL : U64));
      case 'name':
        return this.postfix(this.named(token));
      case 'operator':
        return this.prefix(token);
      case 'end':
        throw mistake('an operand is missing at the end', token);
    }
  }

  private prefix(token: Token): Expression {
    switch (token.text) {
      case '(':
        return this.parentheses();
      case '*':
        return dereference(this.nested(() => this.operand()));
      case '&':
        return this.addressOf();
      case '+':
        return this.nested(() => this.operand());
      case '-':
      case '~':
      case '!':
        return unary(
          token.text,
          this.nested(() => this.operand()),
        );
      default:
        throw mistake(`an operand is expected, not ${quoted(token.text)}`, token);
    }
  }

  /** A conversion, or an expression in parentheses. */
  private parentheses(): Expression {
    const type = this.acceptType();
    if (type === undefined) {
      const inner = this.nested(() => this.operators(1));
      this.expect(')');
      return this.postfix(inner);
    }
    let converted: ValueType = type;
    while (this.accepts('*')) converted = { kind: 'pointer', to: converted };
    this.expect(')');
    return convert(
      this.nested(() => this.operand()),
      converted,
    );
  }

  private addressOf(): Expression {
    const token = this.take();
    const symbol = token.kind === 'name' ? this.names.symbol(token.text) : undefined;
    if (symbol === undefined) throw mistake('& wants the name of a symbol', token);
    return this.postfix(constant(symbol.address, U64));
  }

  /** Indexes behind an operand. */
  private postfix(operand: Expression): Expression {
    let indexed = operand;
    while (this.peek().text === '[') {
      const bracket = this.take();
      const index = this.nested(() => this.operators(1));
      this.expect(']');
      const { type } = indexed;
      const pointer: Expression =
        type.kind === 'pointer' ? indexed : convert(indexed, { kind: 'pointer', to: U64 });
      indexed = dereference(binary('+', pointer, index, bracket));
    }
    return indexed;
  }

  private named(token: Token): Expression {
    this.next--;
    const type = this.acceptType();
    if (type !== undefined) return this.memoryForm(type);
    this.next++;
    const name = token.text.replace(/^\$/, '').toLowerCase();
    const register = this.names.register(name);
    if (register !== undefined) {
      const width = unsignedOf(register.bits / 8) ?? U64;
      return { kind: 'register', number: register.number, type: width };
    }
    const part = partOfRegister(name, this.names);
    if (part !== undefined) return part;
    const symbol = this.names.symbol(token.text);
    if (symbol !== undefined) return variable(symbol);
    throw mistake(`${quoted(token.text)} is neither a register nor a symbol`, token);
  }

  /** u32[ADDRESS] */
  private memoryForm(type: IntegerType): Expression {
    this.expect('[');
    const address = this.nested(() => this.operators(1));
    this.expect(']');
    return dereference(convert(address, { kind: 'pointer', to: type }));
  }

  private acceptType(): IntegerType | undefined {
    const words: string[] = [];
    const first = this.peek();
    while (this.peek().kind === 'name' && C_TYPE_WORDS.has(this.peek().text)) {
      words.push(this.take().text);
    }
    if (words.length > 0) {
      const type = typeOfWords(words);
      if (type === undefined) throw mistake(`${quoted(words.join(' '))} is no type`, first);
      return type;
    }
    const type = first.kind === 'name' ? namedType(first.text) : undefined;
    if (type !== undefined) this.next++;
    return type;
  }

  private nested(parse: () => Expression): Expression {
    if (this.depth >= DEEPEST_NESTING) throw mistake('nested too deeply', this.peek());
    this.depth++;
    const parsed = parse();
    this.depth--;
    return parsed;
  }

  private accepts(operator: string): boolean {
    const is = this.peek().kind === 'operator' && this.peek().text === operator;
    if (is) this.next++;
    return is;
  }

  private expect(operator: string): void {
    if (this.accepts(operator)) return;
    const { kind, text } = this.peek();
    const found = kind === 'end' ? 'the end' : quoted(text);
    throw mistake(`"${operator}" is expected, not ${found}`, this.peek());
  }

  private peek(): Token {
    return this.tokens[this.next]!;
  }

  private take(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.next++;
    return token;
  }
}

function variable({ address, size, isFunction }: ExpressionSymbol): Expression {
  const type = isFunction ? undefined : unsignedOf(Number(size));
  const at = constant(address, U64);
  return type === undefined ? at : dereference(convert(at, { kind: 'pointer', to: type }));
}

type Part = readonly [whole: string, lengthBytes: number];

/** eax, ax, al, sil, r8d, …: low parts of the general registers (Intel SDM 1 §3.4.1.1); no ah. */
const PARTS: ReadonlyMap<string, Part> = new Map([
  ...['a', 'b', 'c', 'd'].flatMap((letter) =>
    partsOf(`r${letter}x`, `e${letter}x`, `${letter}x`, `${letter}l`),
  ),
  ...['si', 'di', 'bp', 'sp'].flatMap((name) => partsOf(`r${name}`, `e${name}`, name, `${name}l`)),
  ...Array.from({ length: 8 }, (_, index) => `r${8 + index}`).flatMap((name) =>
    partsOf(name, `${name}d`, `${name}w`, `${name}b`),
  ),
]);

function partsOf(
  whole: string,
  doubleword: string,
  word: string,
  byte: string,
): readonly (readonly [string, Part])[] {
  return [
    [doubleword, [whole, 4]],
    [word, [whole, 2]],
    [byte, [whole, 1]],
  ];
}

function partOfRegister(name: string, names: ExpressionNames): Expression | undefined {
  const [whole, lengthBytes] = PARTS.get(name) ?? [];
  if (whole === undefined) return undefined;
  // An i386 has eax for the whole.
  const register = names.register(whole) ?? names.register(whole.replace('r', 'e'));
  const type = unsignedOf(lengthBytes ?? 0);
  if (register === undefined || type === undefined) return undefined;
  return convert({ kind: 'register', number: register.number, type: U64 }, type);
}
