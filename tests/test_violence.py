"""The acts of `violence.py`, a few of each: nothing is lost, and nothing comes out wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("violence.py")
# How often, by what each costs; those of one search share a process, which has tried it unharmed.
ACTS = {
    "a search": {
        "kill_whole_searches": 3,
        "interrupt_searches": 2,
        "damage_journals": 3,
        "search_side_by_side": 1,
        "search_in_threads": 1,
        "fill_disks": 2,
        "forbid_writing": 1,
        "jump_clocks": 1,
    },
    "workers": {"kill_workers": 1, "exit_workers": 1, "kill_cluster": 1},
    "limits": {"kill_long_trainings": 3, "limit_memory": 3},
}


@pytest.mark.skipif(sys.platform != "linux", reason="signals, limits and /proc")
@pytest.mark.parametrize("target", ACTS)
def test_nothing_is_lost_and_nothing_is_wrong_after_violence_against(target):
    acts = [f"{act}={rounds}" for act, rounds in ACTS[target].items()]
    command = [sys.executable, str(SCRIPT), *acts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert not done.returncode, done.stdout + done.stderr
