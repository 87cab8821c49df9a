"""Formula text to expression tree: an own grammar, so that nothing of the text is ever executed.

    formula  = ["-"] product {("+" | "-") product}
    product  = signed {("*" | "/") signed | power}            juxtaposition multiplies
    signed   = {"-" | "+"} power
    power    = value {superscript} ["^" signed]               right-associative, tighter than "-"
    value    = number | name | name "[" formula "]" | function "(" formula {"," formula} ")"
             | ("sum" | "prod") "(" index "=" formula ".." formula "," formula ")"
             | "(" formula ")" | "|" formula "|" | "√" value

Juxtaposition has the strength of `*`, so `1/2x` is (1/2) x, as `1/2*x` is. Text, nodes, nesting and
constant powers are limited, and every refusal is a `FormulaError` with a column and a suggestion.
"""

from __future__ import annotations

import math
from contextlib import contextmanager

from steepest.core.errors import FormulaError, UsageError
from steepest.functions import hints
from steepest.functions.expression import (
    Call,
    Chain,
    Constant,
    Dimension,
    Element,
    Expression,
    Index,
    Negate,
    Number,
    Power,
    Reduction,
    Variable,
    children,
    constant,
    depth,
)
from steepest.functions.tokens import Token, tokenize
from steepest.functions.vocabulary import ALIASES, CONSTANTS, FUNCTIONS, GREEK, REDUCTIONS

MOST_CHARACTERS = 5_000
MOST_NODES = 5_000
MOST_NESTED = 50
MOST_DEPTH = 100
LARGEST_POWER = 1_000
MOST_BITS = 20_000


def parse(text: str) -> Expression:
    """The expression tree of a formula.

    Raises:
        FormulaError: anything that cannot be read; `column` counts from 0.

    >>> parse("2x^2")
    Chain(kind='*', inverted=(False, False), terms=(Number(text='2'), Power(base=Variable(name='x'), exponent=Number(text='2'))))
    """  # noqa: E501
    if not isinstance(text, str):
        raise UsageError(f"A formula must be text, got {type(text).__name__}: write 'x^2 + y^2'.")
    if len(text) > MOST_CHARACTERS:
        raise FormulaError(
            f"The formula has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read.",
            hint="Write it with sum(i=1..n, ...), or as a Python function with jax.numpy.",
        )
    parser = _Parser(text)
    try:
        root = parser.formula()
    except RecursionError:  # the caller's stack was nearly full already
        raise parser.too_deep(0) from None
    parser.finish()
    if depth(root) > MOST_DEPTH:
        raise parser.too_deep(0)
    return root


class _Parser:
    def __init__(self, text: str):
        self.text = text
        self.tokens = tokenize(text)  # lazily, so that a hostile text is left early
        self.token = next(self.tokens)
        self.nested = 0
        self.constants: dict[int, float | None] = {}  # by id of nodes, which all stay alive
        self.all: list[Expression] = []
        self.bits: dict[int, int] = {}
        self.scope: list[str] = []  # indices of the enclosing sums
        self.opened: list[str] = ["end"]  # what the enclosing bracket is; "|" closes only "|"

    # Tokens

    def next(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.token = next(self.tokens)
        return token

    def at(self, *kinds: str) -> bool:
        return self.token.kind in kinds

    def accept(self, kind: str) -> Token | None:
        return self.next() if self.at(kind) else None

    def error(self, message: str, column: int, hint: str = "") -> FormulaError:
        return FormulaError(message, self.text, column, hint)

    def too_deep(self, column: int) -> FormulaError:
        return self.error(
            "The formula is nested too deeply.", column, "Use fewer brackets, signs or powers."
        )

    @contextmanager
    def deeper(self, column: int):
        self.nested += 1
        if self.nested > MOST_NESTED:
            raise self.too_deep(column)
        yield
        self.nested -= 1

    def count(self, node: Expression) -> Expression:
        self.all.append(node)
        if len(self.all) > MOST_NODES:
            raise self.error(
                f"The formula has more than {MOST_NODES:,} parts.",
                self.token.column,
                "Write it with sum(i=1..n, ...), or as a Python function with jax.numpy.",
            )
        return node

    # Grammar

    def formula(self) -> Expression:
        with self.deeper(self.token.column):
            negative = self.accept("-") is not None
            if not negative:
                self.accept("+")
            inverted, terms = [negative], [self.product()]
            while self.at("+", "-"):
                inverted.append(self.next().kind == "-")
                terms.append(self.product())
        if len(terms) == 1:
            return self.count(Negate(terms[0])) if negative else terms[0]
        return self.count(Chain("+", tuple(inverted), tuple(terms)))

    def product(self) -> Expression:
        inverted, terms = [False], [self.signed()]
        while True:
            if self.at("*", "/"):
                inverted.append(self.next().kind == "/")
                terms.append(self.signed())
            elif self.starts_value():
                inverted.append(False)
                terms.append(self.power())
            else:
                break
        if len(terms) == 1:
            return terms[0]
        return self.count(Chain("*", tuple(inverted), tuple(terms)))

    def starts_value(self) -> bool:
        if self.at("number"):
            raise self.error(
                f"There is no operation before the number {self.token.text}.",
                self.token.column,
                "Write * or ^ between the two.",
            )
        return self.at("name", "(", "√") or (self.at("|") and self.opened[-1] != "|")

    def signed(self) -> Expression:
        if self.at("-", "+"):
            sign = self.next()
            with self.deeper(sign.column):
                operand = self.signed()
            return self.count(Negate(operand)) if sign.kind == "-" else operand
        return self.power()

    def power(self) -> Expression:
        base = self.value()
        while self.at("superscript"):
            raised = self.next()
            exponent = self.superscript(raised)
            base = self.raised(base, exponent, raised.column)
        if self.at("^"):
            column = self.next().column
            with self.deeper(column):
                exponent = self.signed()
            base = self.raised(base, exponent, column)
        return base

    def bits_of(self, node: Expression) -> int:
        """About how many bits the exact value of a constant expression takes."""
        if id(node) not in self.bits:
            match node:
                case Number():
                    value = node.value
                    bits = value.numerator.bit_length() + value.denominator.bit_length()
                case Power(base, exponent):
                    size = constant(exponent, self.constants)
                    bits = math.ceil(self.bits_of(base) * max(1.0, abs(size or 0.0)))
                case _:
                    bits = 64 + sum(map(self.bits_of, children(node)))
            self.bits[id(node)] = bits
        return self.bits[id(node)]

    def superscript(self, token: Token) -> Expression:
        digits = token.text.lstrip("-")
        node: Expression = Dimension() if digits == "n" else Number(digits)
        self.count(node)
        return self.count(Negate(node)) if token.text.startswith("-") else node

    def raised(self, base: Expression, exponent: Expression, column: int) -> Expression:
        node = self.count(Power(base, exponent))
        size = constant(exponent, self.constants)
        if size is not None:
            if not abs(size) <= LARGEST_POWER:
                raise self.error(
                    f"A power must be from -{LARGEST_POWER} to {LARGEST_POWER}.",
                    column,
                    "Write large powers with exp and ln.",
                )
            whole = constant(node, self.constants)
            if whole is not None and not (math.isfinite(whole) and self.bits_of(node) < MOST_BITS):
                raise self.error(
                    "This power of constants is too large, or no real number.",
                    column,
                    "Use a smaller power.",
                )
        return node

    def value(self) -> Expression:
        if not self.at("number", "name", "(", "|", "√"):
            raise self.missing(self.token)
        token = self.next()
        match token.kind:
            case "number":
                return self.count(Number(token.text))
            case "name":
                return self.name(token)
            case "(":
                inner = self.enclosed("(", self.formula)
                self.close(")", token)
                return inner
            case "|":
                inner = self.enclosed("|", self.formula)
                self.close("|", token)
                return self.count(Call("abs", (inner,)))
        with self.deeper(token.column):
            return self.count(Call("sqrt", (self.value(),)))

    def missing(self, token: Token) -> FormulaError:
        column = token.column
        if token.kind == "end":
            if not self.text.strip():
                return self.error(
                    "The formula is empty.", column, "Write for example x^2 + x*y + y^2."
                )
            return self.error(
                "The formula ends where a value is expected.", column,
                "Write a number, a variable or a bracket there.",
            )  # fmt: skip
        if token.kind == ")":
            return self.error("There is no value before this closing bracket.", column)
        if token.kind in ("superscript", "^", "*", "/"):
            return self.error(f"`{token.text}` has no value on its left.", column)
        return self.stray(token)

    def enclosed(self, opening: str, rule):
        self.opened.append(opening)
        inner = rule()
        self.opened.pop()
        return inner

    def close(self, closing: str, opening: Token) -> None:
        if self.accept(closing):
            return
        if self.at("end"):
            name = "bar" if closing == "|" else "bracket"
            raise self.error(f"This {name} is never closed.", opening.column, f"Add a `{closing}`.")
        raise self.stray(self.token, f"Expected `{closing}` here.")

    def finish(self) -> None:
        if not self.at("end"):
            raise self.stray(self.token)

    def stray(self, token: Token, otherwise: str = "") -> FormulaError:
        """The error for a token that cannot stand where it stands."""
        if token.kind in hints.STRAY:
            message, hint = hints.STRAY[token.kind]
            return self.error(message, token.column, hint)
        return self.error(otherwise or f"`{token.text}` cannot stand here.", token.column)

    # Names

    def name(self, token: Token) -> Expression:
        name = token.text
        known = ALIASES.get(name, name)
        if known in FUNCTIONS:
            return self.call(known, token)
        if known in REDUCTIONS:
            return self.reduction(known, token)
        if name in CONSTANTS:
            return self.count(Constant(name))
        letters = name.rstrip("0123456789")
        single = (len(letters) == 1 and name[len(letters) :].isascii()) or letters in GREEK
        if not single:
            raise self.unknown(token)
        if self.at("["):
            return self.element(token)
        if self.at("(") and letters in ("f", "g", "h"):
            raise self.error(
                f"{name} is no function of the vocabulary.", token.column,
                f"To multiply write {name}*( ... ); else write the function out.",
            )  # fmt: skip
        if name in self.scope:
            return self.count(Index(name))
        if name == "n":
            return self.count(Dimension())
        return self.count(Variable(name, token.column))

    def unknown(self, token: Token) -> FormulaError:
        name, column = token.text, token.column
        if self.at("."):
            return self.stray(self.token)
        if name in hints.PYTHON:
            return self.error(
                f"`{name}` is Python, and a formula is not.",
                column,
                "Write only the value, such as x^2 + y^2.",
            )
        called = self.at("(")
        shown = name if len(name) <= 40 else name[:40] + "..."
        kind = "function" if called else "name"
        return self.error(f"Unknown {kind} `{shown}`.", column, hints.for_name(name, called))

    def element(self, token: Token) -> Expression:
        opening = self.next()
        index = self.enclosed("[", self.formula)
        self.close("]", opening)
        return self.count(Element(token.text, index, token.column))

    def call(self, name: str, token: Token) -> Expression:
        raised = None
        if self.at("superscript"):  # sin²(x)
            superscript = self.next()
            raised = self.superscript(superscript)
        elif self.at("^"):  # sin^2(x)
            self.next()
            digits = self.accept("number")
            if digits is None:
                raise self.error(
                    f"A power stands after the brackets of {token.text}.", token.column,
                    f"Write {token.text}(x)^(...).",
                )  # fmt: skip
            raised = self.count(Number(digits.text))
        if not self.at("("):
            raise self.error(
                f"{token.text} needs its argument in brackets.", token.column,
                f"Write {token.text}(x).",
            )  # fmt: skip
        arguments = self.arguments(token)
        least, most, _ = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} or more"
            given = len(arguments)
            raise self.error(
                f"{token.text} takes {wanted} argument{'' if wanted == '1' else 's'}, got {given}.",
                token.column,
                "Decimals have a point: 3.5." if given > least else "",
            )
        node = self.count(Call(name, tuple(arguments)))
        return node if raised is None else self.raised(node, raised, token.column)

    def arguments(self, owner: Token) -> list[Expression]:
        opening = self.next()
        if self.at(")"):
            raise self.error(
                f"{owner.text} has no argument.", self.token.column, f"Write {owner.text}(x)."
            )

        def listed():
            found = [self.formula()]
            while self.accept(","):
                found.append(self.formula())
            return found

        found = self.enclosed("(", listed)
        self.close(")", opening)
        return found

    def reduction(self, kind: str, token: Token) -> Expression:
        usage = f"Write {kind}(i=1..n, x[i]^2)."
        opening = self.accept("(")
        if opening is None:
            raise self.error(f"{kind} needs brackets.", token.column, usage)
        name = self.accept("name")
        if name is None or not self.accept("="):
            raise self.error(f"{kind} names its index first.", self.token.column, usage)
        index = name.text
        if len(index) != 1 or index in ("n", *CONSTANTS) or index in self.scope:
            raise self.error(
                f"`{index}` cannot be the index here.", name.column,
                "Use a letter that is not in use: i, j or k.",
            )  # fmt: skip
        self.opened.append("(")
        low = self.formula()
        if not self.accept(".."):
            raise self.error("The ends of the index need `..` between them.",
                             self.token.column, usage)  # fmt: skip
        high = self.formula()
        if not self.accept(","):
            raise self.error(f"{kind} needs a comma after its ends.", self.token.column, usage)
        self.scope.append(index)
        body = self.formula()
        self.scope.pop()
        self.opened.pop()
        self.close(")", opening)
        return self.count(Reduction(kind, index, low, high, body, token.column))
