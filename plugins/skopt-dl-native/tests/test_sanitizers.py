"""The extension under the sanitizers of addresses and of undefined behaviour."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent.parent


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, PLUGIN / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sanitize = loaded("sanitize")
pytestmark = pytest.mark.skipif(bool(sanitize.missing()), reason=sanitize.missing())


# Parts of instructions are as small as can be, for those that have a team.
PARTS = {"RUN_PART": 8, "PRODUCT_PART": 8, "PRODUCT_WIDTH": 1, "TAKE_PART": 8}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    options = [f"-D{name}={least}" for name, least in PARTS.items()]
    return sanitize.build(tmp_path_factory.mktemp("built"), *options)


def run(environment, code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def assert_is_clean(done):
    problem = done.stderr.find("ERROR: AddressSanitizer"), done.stderr.find("runtime error")
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[max(0, *problem) :][:3000]


PROGRAMS = """
import sys
sys.path.insert(0, sys.argv[1])
import test_malformed
fuzz = test_malformed.fuzz
for seed in range(12):
    fuzz.check(fuzz.Maker(fuzz.Random(seed), (1, 3)[seed % 2]))
for words in test_malformed.RUNS.values():
    test_malformed.run(words)
test_malformed.COUNT, test_malformed.N_PROGRAMS = 500, 30
test_malformed.test_mutated_words_are_refused_or_stay_in_their_buffers()
import numpy as np
import test_products
rng = np.random.default_rng(2)
for number in range(60):
    sizes = rng.choice(test_products.EDGES, 3).tolist()
    orders = [bool(number >> bit & 1) for bit in range(3)]
    then = list(test_products.THEN.values())[number % 6]
    test_products.check(*sizes, ("float32", "float64")[number // 6 % 2], orders, then, rng)
    index = ("int32", "int64")[number // 2 % 2]
    if number < 16:
        dtype = ("float32", "float64")[number % 2]
        test_products.check_sparse(*sizes, dtype, index, 1 + number // 4 % 2, rng)
"""


def test_random_programs_and_malformed_words_misuse_no_memory(environment):
    done = run(environment, PROGRAMS, PLUGIN / "tests")
    assert_is_clean(done)


# Each task with a team of three.
SHARED = """
import sys
sys.path.insert(0, sys.argv[1])
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import test_malformed
from skopt_dl_native import _interpreter, binding
fuzz = test_malformed.fuzz
pool = ThreadPoolExecutor(2)

def run(tasks, first, last, first_model, last_model, scratch):
    team = _interpreter.team(3)
    others = [pool.submit(binding.help_with, team, np.empty_like(scratch)) for _ in range(2)]
    slots = binding.slots()
    _interpreter.run(tasks, first, last, first_model, last_model, scratch, slots, team)
    _interpreter.dismiss(team)
    for each in others:
        each.result()

binding.run = run
print(sum(fuzz.check(fuzz.Maker(fuzz.Random(seed), (1, 3)[seed % 2])) for seed in range(20)))
"""


def test_programs_whose_parts_threads_share_do_the_same_and_misuse_no_memory(environment):
    done = run(environment, SHARED, PLUGIN / "tests")
    assert_is_clean(done)
    assert int(done.stdout) > 10


# The negatives of 1024 floats, in memory of 1000, without asking whether that is a program.
BEYOND = """
import ctypes, importlib.util, sys
import numpy as np
import scipy.linalg.cython_blas as blas
spec = importlib.util.spec_from_file_location("_interpreter", sys.argv[1])
interpreter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(interpreter)
interpreter.use_blas(blas.__pyx_capi__["sgemm"], blas.__pyx_capi__["dgemm"])
body = [1, 0, 2, 1, 1024, 1, 0, 1, 1024, 0, 0, 1, 0, 0, 4096, 4, 1, 0, 0, 0, 0, 0]
body[1] = len(body)
words = [0, 1, 2, 0, 1, 0, 0, 0, 4096, *body]
words[0] = len(words)
words = np.array(words)
memory = np.zeros(1000, "f4")
places = np.array([[0, 0], [memory.ctypes.data, 0]])
task = np.array([words.ctypes.data, places.ctypes.data])
interpreter.check(words)
slots = np.zeros(interpreter.SLOT_BYTES, "u1")
interpreter.run(task, 0, 1, 0, 1, slots[:0], slots)
"""


def test_the_sanitizer_sees_what_is_read_beyond_an_array(environment):
    folder = environment["PYTHONPATH"].partition(os.pathsep)[0]
    done = run(environment, BEYOND, Path(folder) / "skopt_dl_native" / "_interpreter.abi3.so")
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
