"""Which of the compiled interpreters is chosen."""

import platform

from numpy._core._multiarray_umath import __cpu_features__ as features
from skopt_dl_native._interpreter import INSTRUCTIONS

# What NumPy, which asks the processor itself, has to find for a level, as far as it has names.
LEVELS = {
    "x86-64-v4": {"AVX512_SKX", "AVX2", "FMA3"},
    "x86-64-v3": {"AVX2", "FMA3"},
    "x86-64-v2": {"SSE42"},
}


def test_the_best_is_chosen_that_the_processor_can_run():
    if platform.machine().lower() not in ("x86_64", "amd64"):
        assert INSTRUCTIONS == "baseline"
        return
    found = {name for name, is_there in features.items() if is_there}
    best = next(level for level, needed in LEVELS.items() if needed <= found)
    assert best == INSTRUCTIONS
