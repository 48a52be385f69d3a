"""Run a command with the extension built for the sanitizers of addresses and undefined behaviour.

``python tools/sanitize.py python tools/fuzz.py --count 500``; exits as the command does, or with an
error that says where memory was misused. Needs gcc and its libasan.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "skopt_dl_native"
FLAGS = [
    "-std=c11",
    "-O0",
    "-g",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
]


def missing() -> str:
    """What is not there that this takes; empty where all is."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        return "there is no gcc on Linux"
    return "" if Path(library()).is_absolute() else "gcc has no libasan"


def library() -> str:
    command = ["gcc", "-print-file-name=libasan.so"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def build(folder: Path, *options: str) -> dict[str, str]:
    """Build the package in a folder; return the environment in which it is imported from there."""
    package = folder / "skopt_dl_native"
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(SOURCE, package, ignore=ignore)
    files = [str(each) for each in sorted(package.glob("*.c"))]
    include = sysconfig.get_paths()["include"]
    out = package / "_interpreter.abi3.so"
    defined = ["-DINTERPRETER=interpret", "-DPy_LIMITED_API=0x030B0000", f"-I{include}"]
    subprocess.run(["gcc", *FLAGS, *options, *defined, *files, "-lm", "-o", str(out)], check=True)
    found = os.pathsep.join([str(folder), *(each for each in sys.path if each)])
    return os.environ | {
        "PYTHONPATH": found,
        "LD_PRELOAD": library(),
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        # So that each small array has memory of its own, with guards around.
        "PYTHONMALLOC": "malloc",
    }


def main(command: Sequence[str]) -> int:
    if missing():
        print(missing())
        return 1
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(command, env=build(Path(folder), "-march=native")).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
