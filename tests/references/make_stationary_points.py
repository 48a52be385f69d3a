"""Stationary points of polynomials by SymPy: ``python -m pip install sympy==1.14.0``.

In one variable: real roots of the derivative, and the order of the first derivative that is not
zero there. In two: a Gröbner basis instead of resultants, and where the Hessian is singular, signs
around a point by sampling circles, all at 60 digits. Nothing here imports skopt_dl.
"""

import json
import random
from pathlib import Path

import mpmath
import sympy
from sympy.abc import x, y

mpmath.mp.dps = 60
LINE = {
    "double well": 0.3 * x - 2 * x**2 + x**4,
    "triple root": (x - 1) ** 4,
    "flat inflection": (x + 2) ** 5 + 3,
    "order six": x**6 - 7,
    "several multiplicities": sympy.integrate(
        (x - 1) ** 3 * (x + 2) ** 2 * (x - sympy.Rational(1, 2)) * 60480, x
    ),
    "no real one": x**3 + x,
    "decimals": 0.1 * x**5 - 0.7 * x**3 + 0.05 * x**2 + 1.1 * x,
    "close together": sympy.expand((x - 1) ** 2 * (1000 * x - 1001) ** 2),
    "small and large": x**4 - 1e6 * x**2 + 1e-3 * x,
    "wilkinson": sympy.integrate(sympy.prod(x - k for k in range(1, 11)) * 27720, x),
}
PLANE = {
    "monkey saddle": sympy.expand((x - 1) ** 3 - 3 * (x - 1) * (y + 2) ** 2),
    "dog saddle": x**4 - 6 * x**2 * y**2 + y**4,
    "flat along y": x**2 + y**4,
    "cusp": x**2 + y**3,
    "flat maximum": -(x**4) - y**4 - x**2 * y**2,
    # Every straight line through the origin has a minimum there (Peano).
    "Peano's": (y - x**2) * (y - 2 * x**2),
    "degenerate saddle": x**2 - y**4,
    "decimals": (x - 0.3) ** 2 + (y - 0.7) ** 4,
    "plane": 2 * x - 3 * y,
    "no real one": x**3 + x + y**2,
    "himmelblau": (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "beale": (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    "three-hump camel": 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2,
    "four around one": x**4 + y**4 - 2 * x**2 - 2 * y**2 + 0.1 * x,
}


def exact(expression):
    """With fractions in the place of decimal numbers."""
    return sympy.nsimplify(sympy.expand(expression), rational=True)


def random_polynomial(seed, degree, variables):
    rng = random.Random(seed)
    powers = sympy.itermonomials(variables, degree)
    return sum(rng.randint(-5, 5) * power for power in sorted(powers, key=str))


def on_the_line(p):
    slope = sympy.Poly(sympy.diff(p, x), x)
    found = []
    for exact_root in sorted(set(slope.real_roots())):
        root = mpmath.mpmathify(sympy.N(exact_root, 60))
        order = 1
        while abs(at(sympy.diff(p, x, order), root)) < mpmath.mpf("1e-40"):
            order += 1
        positive = at(sympy.diff(p, x, order), root) > 0
        kind = "inflection" if order % 2 else "minimum" if positive else "maximum"
        found.append([[float(root)], float(at(p, root)), kind])
    return found


def at(expression, root):
    return sympy.lambdify(x, expression, "mpmath")(root)


def in_the_plane(p):
    slopes = [sympy.diff(p, v) for v in (x, y)]
    basis = sympy.groebner(slopes, x, y, order="lex", domain="QQ")
    if basis.exprs == [1]:
        return []
    rows = sympy.Poly(basis.exprs[-1], y).real_roots()
    candidates = {sympy.N(root, 60) for root in rows}
    found = []
    for row in candidates:
        # A point's x is a root of every slope at its y.
        columns = set()
        for slope in slopes:
            restricted = sympy.Poly(slope.subs(y, row), x)
            if restricted.degree() > 0:
                columns |= set(map(mpmath.mpmathify, restricted.nroots(n=50, maxsteps=5000)))
        points = [(c.real, mpmath.mpf(row)) for c in columns if abs(c.imag) < 1e-12]
        for point in points:
            # Roots of high multiplicity are known to few digits.
            slope_there = [abs(sympy.lambdify((x, y), s, "mpmath")(*point)) for s in slopes]
            if max(slope_there) < 1e-20 and not any(
                mpmath.hypot(*_minus(point, q)) < 1e-6 for q in found
            ):
                found.append(point)
    value = sympy.lambdify((x, y), p, "mpmath")
    return [[list(map(float, q)), float(value(*q)), kind_of(p, q)] for q in found]


def _minus(p, q):
    return [a - b for a, b in zip(p, q, strict=True)]


def kind_of(p, point):
    """By the Hessian, and where it is singular by the signs on two circles."""
    xx, xy, yy = (
        sympy.lambdify((x, y), sympy.diff(p, *v), "mpmath")(*point)
        for v in ((x, x), (x, y), (y, y))
    )
    determinant = xx * yy - xy * xy
    if abs(determinant) > 1e-20:
        return "saddle" if determinant < 0 else "minimum" if xx > 0 else "maximum"
    value = sympy.lambdify((x, y), p, "mpmath")
    kinds = set()
    for radius in (mpmath.mpf("0.02"), mpmath.mpf("0.005")):
        angles = [mpmath.mpf(k) / 8000 * 2 * mpmath.pi + 0.0003 for k in range(8000)]
        circle = [
            value(point[0] + radius * mpmath.cos(t), point[1] + radius * mpmath.sin(t))
            for t in angles
        ]
        above = [v > value(*point) for v in circle]
        kinds.add("minimum" if all(above) else "saddle" if any(above) else "maximum")
    (kind,) = kinds
    return kind


def coefficients(p, variables):
    poly = sympy.Poly(p, *variables)
    shape = [1 + poly.degree(v) for v in variables]
    if len(variables) == 1:
        return [float(poly.coeff_monomial(x**i)) for i in range(shape[0])]
    return [
        [float(poly.coeff_monomial(x**i * y**j)) for j in range(shape[1])] for i in range(shape[0])
    ]


def main():
    for k in range(8):
        LINE[f"random {k}"] = random_polynomial(k, 3 + k, [x])
        PLANE[f"random {k}"] = random_polynomial(k, 3 + k // 4, [x, y])
    cases = []
    for expressions, variables, solve in ((LINE, [x], on_the_line), (PLANE, [x, y], in_the_plane)):
        for name, expression in expressions.items():
            print(name)
            p = exact(expression)
            points = sorted(solve(p), key=lambda each: (each[1], each[0]))
            case = {"name": name, "coefficients": coefficients(p, variables), "points": points}
            cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("stationary_points.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
