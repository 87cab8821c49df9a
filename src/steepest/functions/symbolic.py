"""Expression tree to SymPy and back, node by node; only to show, never for numerics.

SymPy's own abs, sign, floor, max differentiate into `re`, `DiracDelta` and `Subs`; the functions
below differentiate into each other instead, as JAX does almost everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import sympy

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
    walk,
)
from steepest.functions.indices import Scope, domain, integers


class _Plain(sympy.Function):
    """A function that SymPy leaves as it is, whatever its argument."""

    @classmethod
    def eval(cls, *args):
        return None


class sign(_Plain):
    """-1, 0 or 1; derivative 0."""

    def fdiff(self, argindex=1):
        return sympy.Integer(0)


class step(sign):
    """1 for positive arguments, else 0; derivative 0."""


class floor(sign):
    """The next lower whole number; derivative 0."""


class ceil(sign):
    """The next higher whole number; derivative 0."""


class absolute(_Plain):
    """|x|; derivative sign(x)."""

    is_real = True

    def fdiff(self, argindex=1):
        return sign(self.args[0])


class relu(_Plain):
    """max(0, x); derivative step(x)."""

    def fdiff(self, argindex=1):
        return step(self.args[0])


class sigmoid(_Plain):
    """1/(1 + exp(-x)); derivative s (1 - s)."""

    def fdiff(self, argindex=1):
        return self * (1 - self)


class softplus(_Plain):
    """ln(1 + exp(x)); derivative sigmoid(x)."""

    def fdiff(self, argindex=1):
        return sigmoid(self.args[0])


class larger(_Plain):
    """max(a, b); derivative by a: step(a - b)."""

    def fdiff(self, argindex=1):
        a, b = self.args
        return step(a - b) if argindex == 1 else step(b - a)


class smaller(_Plain):
    """min(a, b); derivative by a: step(b - a)."""

    def fdiff(self, argindex=1):
        a, b = self.args
        return step(b - a) if argindex == 1 else step(a - b)


class cbrt(_Plain):
    """The real cube root, of negative numbers too."""

    def fdiff(self, argindex=1):
        return 1 / (3 * self**2)


FUNCTIONS = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "atan2": sympy.atan2,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "asinh": sympy.asinh,
    "acosh": sympy.acosh,
    "atanh": sympy.atanh,
    "exp": sympy.exp,
    "expm1": lambda a: sympy.exp(a) - 1,
    "ln": sympy.log,
    "log": sympy.log,
    "log10": lambda a: sympy.log(a) / sympy.log(10),
    "log2": lambda a: sympy.log(a) / sympy.log(2),
    "log1p": lambda a: sympy.log(1 + a),
    "sqrt": sympy.sqrt,
    "cbrt": cbrt,
    "abs": absolute,
    "sign": sign,
    "step": step,
    "floor": floor,
    "ceil": ceil,
    "min": lambda a, b, *rest: _fold(smaller, a, b, *rest),
    "max": lambda a, b, *rest: _fold(larger, a, b, *rest),
    "sigmoid": sigmoid,
    "relu": relu,
    "softplus": softplus,
    "erf": sympy.erf,
}


def _fold(pair, first, *rest):
    for other in rest:
        first = pair(first, other)
    return first


_BACK = {
    sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.asin: "asin", sympy.acos: "acos",
    sympy.atan: "atan", sympy.atan2: "atan2", sympy.sinh: "sinh", sympy.cosh: "cosh",
    sympy.tanh: "tanh", sympy.asinh: "asinh", sympy.acosh: "acosh", sympy.atanh: "atanh",
    sympy.exp: "exp", sympy.erf: "erf", sympy.Abs: "abs", sympy.sign: "sign",
    sympy.Max: "max", sympy.Min: "min", cbrt: "cbrt", absolute: "abs", sign: "sign", step: "step",
    floor: "floor", ceil: "ceil", relu: "relu", sigmoid: "sigmoid", softplus: "softplus",
    larger: "max", smaller: "min",
}  # fmt: skip


class NotInGrammar(Exception):
    """SymPy answered with something that formulas have no word for."""


@dataclass(frozen=True)
class Style:
    """How the user writes: decimals or fractions, `log` or `ln`, `e^x` or `exp(x)`."""

    decimals: bool = False
    logarithm: str = "ln"
    power_of_e: bool = False

    @staticmethod
    def of(root: Expression) -> Style:
        """The style of a formula."""
        names = {node.name for node in walk(root) if isinstance(node, Call)}
        return Style(
            any(isinstance(v, Number) and v.value.denominator > 1 for v in walk(root)),
            "log" if "log" in names else "ln",
            any(v == Constant("e") for v in walk(root)) and "exp" not in names,
        )


def symbols(variables: tuple[str, ...]) -> tuple[sympy.Symbol, ...]:
    """One real symbol for each variable."""
    return tuple(sympy.Symbol(name, real=True) for name in variables)


def to_sympy(root: Expression, variables: tuple[str, ...]) -> sympy.Expr:
    """The SymPy expression, sums written out, literals as exact fractions."""
    n = len(variables)
    known = dict(zip(variables, symbols(variables), strict=True))
    letters = variables[0].rstrip("0123456789")

    def build(node: Expression, scope: Scope):
        def value(child: Expression):
            return build(child, scope)

        match node:
            case Number():
                exact = node.value
                return sympy.Rational(exact.numerator, exact.denominator)
            case Constant(name):
                return sympy.pi if name == "pi" else sympy.E
            case Dimension():
                return sympy.Integer(n)
            case Index(name):
                return sympy.Integer(int(scope[name][0]))
            case Variable(name):
                return known[name]
            case Element(_, index):
                place = int(integers(index, scope, n).ravel()[0])
                return known[f"{letters}{place}"]
            case Negate(operand):
                return -value(operand)
            case Chain("+", inverted, terms):
                signed = zip(inverted, terms, strict=True)
                return sympy.Add(*(-value(t) if under else value(t) for under, t in signed))
            case Chain(_, inverted, terms):
                signed = zip(inverted, terms, strict=True)
                return sympy.Mul(*(1 / value(t) if under else value(t) for under, t in signed))
            case Power(base, exponent):
                return sympy.Pow(value(base), value(exponent))
            case Call(name, arguments):
                return FUNCTIONS[name](*map(value, arguments))
            case Reduction(kind, index, _, _, body):
                points = domain(node, scope, n).scope[index]
                each = ({**scope, index: points[k : k + 1]} for k in range(len(points)))
                parts = [build(body, inner) for inner in each]
                return sympy.Add(*parts) if kind == "sum" else sympy.Mul(*parts)
        raise AssertionError(node)

    return build(root, {})


def from_sympy(expr: sympy.Expr, style: Style = Style()) -> Expression:
    """The expression tree of what SymPy computed, terms in SymPy's order.

    Raises:
        NotInGrammar: infinities, integrals, conditions and the like.
    """

    def back(e) -> Expression:
        return from_sympy(e, style)

    if isinstance(expr, sympy.Symbol):
        return Variable(expr.name)
    if isinstance(expr, sympy.Rational):
        return _rational(Fraction(int(expr.p), int(expr.q)), style)
    if isinstance(expr, sympy.Float):
        return _rational(Fraction(float(expr)), style)
    if expr is sympy.pi:
        return Constant("pi")
    if expr is sympy.E:
        return Constant("e")
    if isinstance(expr, sympy.Add):
        inverted, terms = [], []
        for term in expr.as_ordered_terms():
            negative = term.could_extract_minus_sign() and not isinstance(term, sympy.Add)
            inverted.append(negative)
            terms.append(back(-term if negative else term))
        return Chain("+", tuple(inverted), tuple(terms))
    if isinstance(expr, sympy.Mul):
        return _product(expr, style)
    if isinstance(expr, sympy.Pow):
        base, exponent = expr.as_base_exp()
        if exponent.is_Rational and exponent < 0:
            return _product(expr, style)
        if exponent == sympy.Rational(1, 2):
            return Call("sqrt", (back(base),))
        return Power(back(base), back(exponent))
    if isinstance(expr, sympy.exp) and style.power_of_e:
        return Power(Constant("e"), back(expr.args[0]))
    if isinstance(expr, sympy.log) and len(expr.args) == 1:
        return Call(style.logarithm, (back(expr.args[0]),))
    name = _BACK.get(expr.func)
    if name is not None:
        return Call(name, tuple(map(back, expr.args)))
    raise NotInGrammar(f"no word for {expr.func.__name__}")


def _rational(value: Fraction, style: Style) -> Expression:
    if value < 0:
        return Negate(_rational(-value, style))
    if value.denominator == 1:
        return Number(str(value.numerator))
    decimal = _decimal(value) if style.decimals else None
    if decimal is not None:
        return Number(decimal)
    over, under = Number(str(value.numerator)), Number(str(value.denominator))
    return Chain("*", (False, True), (over, under))


def _decimal(value: Fraction) -> str | None:
    """A short exact decimal, if there is one."""
    for digits in range(1, 9):
        scaled = value * 10**digits
        if scaled.denominator == 1:
            text = str(int(scaled)).rjust(digits + 1, "0")
            return f"{text[:-digits]}.{text[-digits:]}"
    return None


def _product(expr: sympy.Expr, style: Style) -> Expression:
    """A product or negative power as one fraction, its sign in front."""
    coefficient, rest = expr.as_coeff_Mul()
    if not coefficient.is_Rational:
        coefficient, rest = sympy.Integer(1), expr
    value = Fraction(int(coefficient.p), int(coefficient.q))
    if value == -1 and rest.is_Add:
        return from_sympy(sympy.Add(*(-term for term in rest.args)), style)
    if value < 0:
        return Negate(_product(-expr, style))
    over: list[Expression] = []
    under: list[Expression] = []
    if style.decimals and _decimal(value) is not None and value.denominator > 1:
        over.append(_rational(value, style))
    else:
        if value.numerator != 1:
            over.append(Number(str(value.numerator)))
        if value.denominator != 1:
            under.append(Number(str(value.denominator)))
    for factor in rest.as_ordered_factors() if rest != 1 else ():
        base, exponent = factor.as_base_exp()
        plain = not isinstance(factor, sympy.exp)
        if plain and exponent.is_Rational and exponent < 0:
            under.append(from_sympy(sympy.Pow(base, -exponent), style))
        else:
            over.append(from_sympy(factor, style))
    top = over or [Number("1")]
    if under:
        bottom = under[0] if len(under) == 1 else Chain("*", (False,) * len(under), tuple(under))
        return Chain("*", (False,) * len(top) + (True,), (*top, bottom))
    return top[0] if len(top) == 1 else Chain("*", (False,) * len(top), tuple(top))
