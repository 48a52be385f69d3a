"""Exact algebra of polynomials: real roots, common factors, systems of two equations.

A polynomial of x is a list of integers, ``p[i]`` with x**i, without zeros at the end; [] is zero.
One of x and y is a list of such lists, ``p[j]`` with y**j. Factors are up to a constant.
All methods are in von zur Gathen and Gerhard, 2013, "Modern computer algebra": Yun's square-free
factors, Sturm's chains, resultants by evaluation and interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import reduce
from itertools import accumulate, pairwise
from operator import mul
from typing import Any

Poly = list[int]
Poly2 = list[Poly]

# A root is known to so many binary places, relative to its size; a sum that is smaller than ZERO,
# relative to its largest term, is zero.
PLACES = 160
ZERO = Fraction(1, 2**120)
_NOTHING: Poly = []


def real_roots(p: Poly) -> list[tuple[Fraction, int]]:
    """Real roots of a polynomial other than zero, rising, with their multiplicities."""
    found = []
    for factor, multiplicity in _square_free_factors(primitive(p)):
        chain = _sturm_chain(factor)
        found += [(_refined(factor, *ends), multiplicity) for ends in _isolated(chain)]
    return sorted(found)


def solutions(p: Poly2, q: Poly2) -> list[tuple[Fraction, Fraction]]:
    """Real points where two polynomials of x and y without a common factor are both zero."""
    columns = [x for x, _ in real_roots(resultant(p, q))]
    rows = [y for y, _ in real_roots(resultant(transposed(p), transposed(q)))]
    return [(x, y) for x in columns for y in rows if _is_zero_at(p, x, y) and _is_zero_at(q, x, y)]


def point_on_curve(p: Poly2) -> tuple[float, float] | None:
    """A point of the curve where a square-free polynomial of x and y is zero.

    None if there is no curve, but isolated points at most. Between the places where the number of
    its branches can change, a curve has a point over every x.
    """
    content = content_of(p)
    for x, _ in real_roots(content):
        return float(x), 0.0
    rest = divided(p, content)
    if len(rest) < 2:
        return None
    changes = [x for x, _ in real_roots(resultant(rest, derivative2(rest)))]
    between = [(left + right) / 2 for left, right in pairwise(changes)]
    for x in [changes[0] - 1, *between, changes[-1] + 1] if changes else [Fraction(0)]:
        for y, _ in real_roots(rationals([value_at(c, x) for c in rest])):
            return float(x), float(y)
    return None


def rationals(coefficients: Sequence[Fraction]) -> Poly:
    """The polynomial with these coefficients, times a positive number."""
    factor = math.lcm(*(c.denominator for c in coefficients))
    return primitive([int(c * factor) for c in coefficients])


def trimmed(p: list[Any]) -> list[Any]:
    """Without zeros at the end."""
    n = len(p)
    while n and not p[n - 1]:
        n -= 1
    return p[:n]


def primitive(p: Poly) -> Poly:
    """Divided by the greatest common divisor of the coefficients."""
    p = trimmed(p)
    content = math.gcd(*p)
    return [c // content for c in p]


def derivative(p: Poly) -> Poly:
    return [i * c for i, c in enumerate(p)][1:]


def common_factor(p: Poly, q: Poly) -> Poly:
    """The greatest one."""
    p, q = primitive(p), primitive(q)
    while q:
        p, q = q, _remainder(p, q)
    return p


def _remainder(p: Poly, q: Poly) -> Poly:
    """Of a positive multiple of p by q."""
    scale, sign = abs(q[-1]), 1 if q[-1] > 0 else -1
    while len(p) >= len(q):
        shifted = [0] * (len(p) - len(q)) + [sign * p[-1] * c for c in q]
        p = trimmed([scale * c - d for c, d in zip(p, shifted, strict=True)])
    return primitive(p)


def _quotient(p: Poly, q: Poly) -> Poly:
    """Of p by a factor of it."""
    rest, result = list(p), [0] * (len(p) - len(q) + 1)
    for place in reversed(range(len(result))):
        result[place] = rest[place + len(q) - 1] // q[-1]
        for i, c in enumerate(q):
            rest[place + i] -= result[place] * c
    return trimmed(result)


def _square_free_factors(p: Poly) -> Iterator[tuple[Poly, int]]:
    """Factors without multiple roots, and how often each divides p."""
    several = common_factor(p, derivative(p))
    once, multiplicity = _quotient(p, several), 1
    while len(once) > 1:
        more = common_factor(once, several)
        factor = _quotient(once, more)
        if len(factor) > 1:
            yield factor, multiplicity
        once, several = more, _quotient(several, more)
        multiplicity += 1


def _sturm_chain(p: Poly) -> list[Poly]:
    chain = [p, primitive(derivative(p))]
    while len(chain[-1]) > 1:
        chain.append([-c for c in _remainder(chain[-2], chain[-1])])
    return chain


def _sign(p: Poly, x: Fraction) -> int:
    """Of the value at x."""
    value, power = 0, 1
    for c in reversed(p):
        value = value * x.numerator + c * power
        power *= x.denominator
    return (value > 0) - (value < 0)


def _isolated(chain: Sequence[Poly]) -> Iterator[tuple[Fraction, Fraction]]:
    """An interval, open on the left, for each real root of the chain's first polynomial."""
    sizes = [abs(c).bit_length() for c in chain[0]]
    bound = Fraction(2 ** (max(sizes) - sizes[-1] + 2))

    def variations(x: Fraction) -> int:
        signs = [sign for p in chain if (sign := _sign(p, x))]
        return sum(a != b for a, b in pairwise(signs))

    waiting = [(-bound, variations(-bound), bound, variations(bound))]
    while waiting:
        low, at_low, high, at_high = waiting.pop()
        if at_low - at_high == 1:
            yield low, high
        elif at_low != at_high:
            middle = (low + high) / 2
            at_middle = variations(middle)
            waiting += [(low, at_low, middle, at_middle), (middle, at_middle, high, at_high)]


def _refined(p: Poly, low: Fraction, high: Fraction) -> Fraction:
    """The one root in (low, high], which is a simple one, by bisection."""
    above = _sign(p, high)
    while above and high - low > max(abs(low), abs(high)) / 2**PLACES:
        middle = (low + high) / 2
        sign = _sign(p, middle)
        if sign == -above:
            low = middle
        else:
            high, above = middle, sign
    return high


def transposed(p: Poly2) -> Poly2:
    """With x and y exchanged."""
    n = max(map(len, p), default=0)
    return [trimmed([c[i] if i < len(c) else 0 for c in p]) for i in range(n)]


def derivative2(p: Poly2) -> Poly2:
    """With respect to y."""
    return trimmed([[j * c for c in row] for j, row in enumerate(p)][1:])


def content_of(p: Poly2) -> Poly:
    """The greatest factor that depends on x alone."""
    content: Poly = []
    for c in p:
        content = common_factor(content, c)
    return content


def divided(p: Poly2, factor: Poly) -> Poly2:
    """By a factor that depends on x alone."""
    return [_quotient(c, factor) if c else [] for c in p]


def common_factor2(p: Poly2, q: Poly2) -> Poly2:
    """The greatest one, of polynomials of x and y."""
    if not (p and q):
        return p or q
    contents = content_of(p), content_of(q)
    p, q = divided(p, contents[0]), divided(q, contents[1])
    while q:
        p, q = q, _remainder2(p, q)
    content = common_factor(*contents)
    return [_times(c, content) for c in p]


def _remainder2(p: Poly2, q: Poly2) -> Poly2:
    """Of a multiple of p by q, without its content."""
    while len(p) >= len(q):
        shifted = [_NOTHING] * (len(p) - len(q)) + [_times(p[-1], c) for c in q]
        p = [_minus(_times(q[-1], c), d) for c, d in zip(p, shifted, strict=True)]
        p = _primitive2(trimmed(p))
    return p


def _primitive2(p: Poly2) -> Poly2:
    return divided(p, content) if (content := content_of(p)) else p


def quotient2(p: Poly2, q: Poly2) -> Poly2:
    """Of p by a factor of it, up to a constant."""
    result: Poly2 = [[] for _ in range(len(p) - len(q) + 1)]
    for place in reversed(range(len(result))):
        # A multiple of p whose quotient has integers.
        scale = abs(q[-1][-1]) ** len(p[place + len(q) - 1])
        p, result = ([[scale * a for a in c] for c in each] for each in (p, result))
        result[place] = _quotient(p[place + len(q) - 1], q[-1])
        taken = [_NOTHING] * place + [_times(result[place], c) for c in q]
        taken += [_NOTHING] * (len(p) - len(taken))
        p = [_minus(c, d) for c, d in zip(p, taken, strict=True)]
    divisor = math.gcd(*(a for c in result for a in c))
    return [[a // divisor for a in c] for c in result]


def resultant(p: Poly2, q: Poly2) -> Poly:
    """The polynomial of x that is zero where the two, as polynomials of y, have a common root."""
    n, m = len(p) - 1, len(q) - 1
    degree = m * max(len(c) - 1 for c in p) + n * max(len(c) - 1 for c in q)
    places = range(-(degree // 2), degree - degree // 2 + 1)
    values = []
    for x in places:
        rows = [[int(value_at(c, Fraction(x))) for c in reversed(each)] for each in (p, q)]
        matrix = [[0] * i + rows[0] + [0] * (m - 1 - i) for i in range(m)]
        matrix += [[0] * i + rows[1] + [0] * (n - 1 - i) for i in range(n)]
        values.append(_determinant(matrix))
    return _through(places, values)


def _determinant(matrix: list[list[int]]) -> int:
    """By Bareiss' elimination without fractions."""
    matrix, sign, before = [list(row) for row in matrix], 1, 1
    for k in range(len(matrix)):
        pivot = next((i for i in range(k, len(matrix)) if matrix[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            matrix[k], matrix[pivot], sign = matrix[pivot], matrix[k], -sign
        top = matrix[k]
        for row in matrix[k + 1 :]:
            factor = row[k]
            for j in range(k + 1, len(row)):
                row[j] = (row[j] * top[k] - factor * top[j]) // before
        before = top[k]
    return sign * before


def _through(places: range, values: Sequence[int]) -> Poly:
    """The polynomial with these values at consecutive integers, times a positive number."""
    result: list[Fraction] = []
    basis = [Fraction(1)]
    for k, x in enumerate(places):
        difference = Fraction(values[0], math.factorial(k))
        result = [a + difference * b for a, b in zip([*result, Fraction(0)], basis, strict=True)]
        basis = [
            a - x * b for a, b in zip([Fraction(0), *basis], [*basis, Fraction(0)], strict=True)
        ]
        values = [b - a for a, b in pairwise(values)]
    return rationals(result)


def value_at(p: Poly, x: Fraction) -> Fraction:
    value = Fraction(0)
    for c in reversed(p):
        value = value * x + c
    return value


def is_zero(terms: Sequence[Fraction]) -> bool:
    """Whether a sum is, whose terms come from roots."""
    return abs(sum(terms, Fraction(0))) <= ZERO * max(map(abs, terms), default=Fraction(0))


def _is_zero_at(p: Poly2, x: Fraction, y: Fraction) -> bool:
    columns, rows = _powers(x, max(map(len, p), default=0)), _powers(y, len(p))
    terms = [c * columns[i] * rows[j] for j, row in enumerate(p) for i, c in enumerate(row) if c]
    return is_zero(terms)


def _powers(x: Fraction, n: int) -> list[Fraction]:
    return list(accumulate([x] * (n - 1), mul, initial=Fraction(1)))


def _times(p: Poly, q: Poly) -> Poly:
    result = [0] * (len(p) + len(q) - 1) if p and q else []
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            result[i + j] += a * b
    return result


def product(factors: Sequence[Poly]) -> Poly:
    return reduce(_times, factors, [1])


def _minus(p: Poly, q: Poly) -> Poly:
    n = max(len(p), len(q))
    p, q = ([*each, *[0] * (n - len(each))] for each in (p, q))
    return trimmed([a - b for a, b in zip(p, q, strict=True)])
