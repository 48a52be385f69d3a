"""Nanoseconds an element of each function, libm's and NumPy's: ``python tools/speed.py``.

The arrays fit the second-level cache. Each figure is the least of all rounds, which take turns.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from sweep import NAMES, SUFFIX, compiled

LIBM = """
#include <math.h>
#include <stddef.h>
#define LOOP(name, function, type)                                   \\
    void name##_loop(type *out, const type *in, ptrdiff_t n) {       \\
        for (ptrdiff_t i = 0; i < n; i++) out[i] = function(in[i]);  \\
    }
LOOP(exp_f32, expf, float) LOOP(exp_f64, exp, double)
LOOP(expm1_f32, expm1f, float) LOOP(expm1_f64, expm1, double)
LOOP(log_f32, logf, float) LOOP(log_f64, log, double)
LOOP(log1p_f32, log1pf, float) LOOP(log1p_f64, log1p, double)
LOOP(tanh_f32, tanhf, float) LOOP(tanh_f64, tanh, double)
LOOP(erf_f32, erff, float) LOOP(erf_f64, erf, double)
void pow_f32_loop(float *out, const float *x, const float *y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) out[i] = powf(x[i], y[i]);
}
void pow_f64_loop(double *out, const double *x, const double *y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) out[i] = pow(x[i], y[i]);
}
"""
SIZE = 16_384
SPANS = {"log": [(0.1, 10)], "log1p": [(-0.9, 10)], "pow": [(0.1, 10), (-5, 5)]}


def main() -> None:
    """Print one line for each function and type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--targets", nargs="+", default=["x86-64-v3", "x86-64-v2"])
    given = parser.parse_args()
    calls = {}
    for target in given.targets:
        with tempfile.TemporaryDirectory() as folder:
            calls[target] = compiled(Path(folder), f"-march={target}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "libm_loops.c"
        source.write_text(LIBM)
        calls["libm"] = compiled(Path(folder), "-march=native", source=source)
    calls["numpy"] = lambda name, *x, out: getattr(np, name)(*x, out=out)
    print(" " * 10, *(f"{name:>10}" for name in calls))
    for name in NAMES:
        for kind, suffix in SUFFIX.items():
            rng = np.random.default_rng(0)
            spans = SPANS.get(name, [(-5, 5)])
            x = [rng.uniform(*span, SIZE).astype(kind) for span in spans]
            known = {k: v for k, v in calls.items() if k != "numpy" or hasattr(np, name)}
            least = dict.fromkeys(calls, np.nan) | dict.fromkeys(known, np.inf)
            out = np.empty(SIZE, kind)
            for _ in range(given.rounds):
                for key, call in known.items():
                    start = time.perf_counter()
                    call(name, *x, out=out)
                    least[key] = min(least[key], time.perf_counter() - start)
            figures = (f"{1e9 * seconds / SIZE:10.2f}" for seconds in least.values())
            print(f"{name}_{suffix}".ljust(10), *figures, flush=True)


if __name__ == "__main__":
    main()
