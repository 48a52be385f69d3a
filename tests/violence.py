"""Violence against searches with a journal: ``python tests/violence.py [ACT[=ROUNDS] ...]``.

Each act does to a search what machines and people do, as often as it is told, and looks at what
was lost and at what came out wrong. Both columns of the table must be empty.
"""

import os

# Before NumPy: the victims are forked, and threads do not survive that.
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

import argparse
import ctypes
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

import victims
from victims import LONG, Victim, differences, n_models


@dataclass
class Tally:
    """What an act has done and seen."""

    n: int = 0
    n_searches: int = 0
    lost: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    notes: list = field(default_factory=list)


class Stage:
    """Where acts take place: a folder, the truth, and a clock that says when to stop.

    Parameters
    ----------
    folder : Path
    minutes : float
        After which an act begins nothing new.
    seed : int
    """

    def __init__(self, folder, minutes, seed):
        self.folder, self.minutes = folder, minutes
        self.rng = np.random.default_rng(seed)
        self.tally = Tally()
        self._truths = {}
        self._n_journals = 0

    def begin(self, rounds):
        """Begin an act, which does what it does so many times."""
        self.rounds, self.tally = rounds, Tally()
        self._end = time.perf_counter() + 60 * self.minutes

    @property
    def goes_on(self):
        """Whether there is more to do."""
        return self.tally.n < self.rounds and time.perf_counter() < self._end

    def journal(self):
        self._n_journals += 1
        return str(self.folder / f"journal-{self._n_journals}")

    def victim(self, journal, work=victims.searching, **options):
        return Victim(self.folder, journal, work, options)

    def truth(self, **options):
        """What the uninterrupted program learns; how long it takes; its journal, whole."""
        key = tuple(sorted((name, repr(value)) for name, value in options.items()))
        if key not in self._truths:
            plain = self.victim(None, **options)
            assert plain.wait(), "The uninterrupted program hangs."
            assert plain.answer(), plain.log.read_text()
            journal = self.journal()
            kept = self.victim(journal, **options)
            assert kept.wait(), "The uninterrupted program hangs."
            seconds = time.perf_counter() - kept.began
            learned = plain.answer()[0]
            different = differences(kept.answer()[0], learned)
            assert not different, f"A journal changes {different}."
            self._truths[key] = learned, seconds, journal
        return self._truths[key]

    def ends_well(self, victim, what, **options):
        """See that a search ends, in time, with the right result; return what it said."""
        self.tally.n_searches += 1
        learned, _, _ = self.truth(**options)
        if not victim.wait():
            victim.kill()
            self.tally.wrong.append(f"{what}: hangs")
            return [], []
        answer = victim.answer()
        if answer is None:
            self.tally.wrong.append(f"{what}: {victim.code}, {victim.last_line()}")
            return [], []
        different = differences(answer[0], learned)
        if different:
            self.tally.wrong.append(f"{what}: {different[:3]} differ")
        return answer[1:]

    def is_complete(self, journal, what, **options):
        """See that a journal has all models."""
        missing = n_models(self.truth(**options)[2]) - n_models(journal)
        # There are more where a search that failed in part has refitted another candidate.
        if missing > 0:
            self.tally.lost.append(f"{what}: {missing} models")

    def instant(self, seconds):
        """Sleep until some instant of so many seconds."""
        time.sleep(self.rng.uniform(0, seconds))


def kill_whole_searches(stage):
    """SIGKILL of all processes of a search, or of the first alone, at random instants."""
    _cut_short(stage, lambda victim: victim.kill(group=stage.rng.random() < 0.5))


def interrupt_searches(stage):
    """Ctrl-C, SIGINT to the process group, at random instants."""

    def interrupt(victim):
        victim.signal(signal.SIGINT)
        if not victim.wait():
            victim.kill()
            stage.tally.wrong.append("after Ctrl-C: hangs")
        elif victim.code not in (0, 130):
            stage.tally.wrong.append(f"after Ctrl-C: {victim.code}, {victim.last_line()}")

    _cut_short(stage, interrupt)


def _cut_short(stage, cut):
    """Resume a search that is cut short again and again until it ends, then begin another."""
    _, seconds, _ = stage.truth()
    while stage.goes_on:
        journal, kept = stage.journal(), 0
        while True:
            options = {"n_processes": 2} if stage.rng.random() < 0.25 else {}
            victim = stage.victim(journal, **options)
            if stage.goes_on:
                stage.instant(seconds / 3)
                if not victim.is_over():
                    cut(victim)
                    stage.tally.n += 1
            if stage.goes_on and victim.answer() is None:
                now = n_models(journal)
                if now < kept:
                    stage.tally.lost.append(f"after {stage.tally.n}: {kept - now} models")
                kept = now
                continue
            if victim.answer() is None:
                victim = stage.victim(journal)
            stage.ends_well(victim, f"after {stage.tally.n}")
            stage.is_complete(journal, f"after {stage.tally.n}")
            rmtree(journal)
            break


def damage_journals(stage):
    """Bytes changed, cut, duplicated; pieces of files swapped."""
    _, seconds, whole = stage.truth()
    cut = stage.journal()
    victim = stage.victim(cut)
    time.sleep(seconds / 2)
    victim.kill()
    while stage.goes_on:
        source = [whole, cut][stage.rng.integers(2)]
        if not n_models(source):
            source = whole
        journal = stage.journal()
        copytree(source, journal)
        for _ in range(stage.rng.integers(1, 4)):
            what = _damage(Path(journal), stage.rng)
        stage.tally.n += 1
        stage.ends_well(stage.victim(journal), f"{what} {stage.tally.n}")
        stage.is_complete(journal, f"{what} {stage.tally.n}")
        rmtree(journal)


def _damage(folder, rng):
    """Damage a file, somehow; say how."""
    paths = sorted(folder.iterdir())
    path = paths[rng.integers(len(paths))]
    content = bytearray(path.read_bytes())
    a, b = sorted(rng.integers(len(content) + 1, size=2))
    what = ["bits", "zeros", "cut", "end", "twice", "order", "name", "swap"][rng.integers(8)]
    if what == "bits":
        for place in rng.integers(len(content), size=rng.integers(1, 20)):
            content[place] ^= 1 << rng.integers(8)
    elif what == "zeros":
        content[a:b] = bytes(b - a)
    elif what == "cut":
        del content[a:b]
    elif what == "end":
        del content[b:]
    elif what == "twice":
        content[b:b] = content[a:b]
    elif what == "order":
        content = content[b:] + content[a:b] + content[:a]
    elif what == "name":
        other = path.with_name("0-0-" + path.name)
        other.write_bytes(content)
    else:
        other = paths[rng.integers(len(paths))]
        theirs = bytearray(other.read_bytes())
        n = int(rng.integers(1, min(len(content), len(theirs)) + 1))
        x, y = rng.integers(len(content) - n + 1), rng.integers(len(theirs) - n + 1)
        if other != path:
            content[x : x + n], theirs[y : y + n] = theirs[y : y + n], content[x : x + n]
            other.write_bytes(theirs)
    path.write_bytes(content)
    return what


def search_side_by_side(stage):
    """Two and three searches on one journal at once, in as many processes."""
    while stage.goes_on:
        journal = stage.journal()
        victims = [stage.victim(journal) for _ in range(stage.rng.integers(2, 4))]
        for victim in victims:
            stage.ends_well(victim, f"{len(victims)} at once")
        stage.is_complete(journal, f"{len(victims)} at once")
        stage.tally.n += 1
        rmtree(journal)


def search_in_threads(stage):
    """Two and three searches on one journal at once, in threads of one process."""
    while stage.goes_on:
        journal, n = stage.journal(), int(stage.rng.integers(2, 4))
        victim = stage.victim(journal, work=victims.searching_in_threads, n_threads=n)
        stage.ends_well(victim, f"{n} threads")
        stage.is_complete(journal, f"{n} threads")
        stage.tally.n += 1
        rmtree(journal)


def kill_workers(stage):
    """SIGKILL of a worker process of ``n_processes=2``; the search itself has to end well."""
    about = {"function": victims.long_program}
    _, seconds, _ = stage.truth(**about)
    while stage.goes_on:
        journal = stage.journal()
        victim = stage.victim(journal, n_jobs=8, n_processes=2, **about)
        victim.wait_until_ready()
        stage.instant(seconds / 2)
        workers = victim.children()
        if not victim.is_over() and workers:
            os.kill(workers[stage.rng.integers(len(workers))], signal.SIGKILL)
            stage.tally.n += 1
        stage.ends_well(victim, "killed worker", **about)
        stage.is_complete(journal, "killed worker", **about)
        rmtree(journal)


def exit_workers(stage):
    """``os._exit`` in every worker process, by a scorer, after the models were trained."""
    # What it learns is the same.
    about = {"function": victims.long_program}
    stage.truth(**about)
    while stage.goes_on:
        journal = stage.journal()
        options = {"function": victims.program_with_exits, "n_jobs": 8, "n_processes": 2}
        victim = stage.victim(journal, **options)
        _, said_else = stage.ends_well(victim, "exit", **about)
        stage.tally.n += any("died" in each for each in said_else)
        stage.is_complete(journal, "exit", **about)
        rmtree(journal)


def jump_clocks(stage):
    """`time.time` and `time.monotonic` jump back and forth by hours, one call in five."""
    while stage.goes_on:
        journal = stage.journal()
        stage.ends_well(stage.victim(journal, before=victims.jumping_clocks), "clocks")
        stage.is_complete(journal, "clocks")
        stage.tally.n += 1
        rmtree(journal)


def kill_long_trainings(stage):
    """SIGKILL of one model that trains long; it goes on from its last snapshot."""
    epochs = stage.folder / "epochs"
    os.environ["VIOLENCE_EPOCHS"] = str(epochs)
    about = {"function": victims.long_training, "interval": 0.02}
    _, seconds, _ = stage.truth(**about)
    while stage.goes_on:
        journal, n_kills, at_most = stage.journal(), 0, 0
        epochs.write_bytes(b"")
        while True:
            n_before = len(_times(epochs))
            victim = stage.victim(journal, **about)
            if stage.goes_on:
                stage.instant(seconds / 2)
            else:
                victim.wait()
            if victim.is_over():
                break
            victim.kill()
            stage.tally.n, n_kills = stage.tally.n + 1, n_kills + 1
            # What was trained since the last snapshot is trained again.
            lived = _times(epochs)[n_before:]
            at_most += (lived > lived[-1:] - (0.02 + 0.1)).sum()
        stage.ends_well(victim, "long training", **about)
        stage.is_complete(journal, "long training", **about)
        again = len(_times(epochs)) - LONG
        stage.tally.notes.append(f"{n_kills} kills: {again} of {LONG} epochs were trained again")
        if again > at_most:
            stage.tally.lost.append(f"{again} epochs of {LONG} with {n_kills} kills")
        rmtree(journal)


def _times(path):
    """When epochs were over."""
    return np.frombuffer(path.read_bytes(), np.float64)


def fill_disks(stage):
    """A disk that is full in the midst of a write: a small tmpfs, else RLIMIT_FSIZE."""
    _, _, whole = stage.truth()
    size = sum(path.stat().st_size for path in Path(whole).iterdir())
    while stage.goes_on:
        room = int(stage.rng.uniform(0.05, 0.9) * size)
        journal = Path(stage.journal())
        journal.mkdir()
        mounted = stage.rng.random() < 0.7 and _mount(journal, f"size={room}")
        victim = stage.victim(str(journal), file_size=None if mounted else room)
        said, _ = stage.ends_well(victim, "full disk")
        _has_failed_once(stage, said, "full disk")
        if mounted:
            _mount(journal, "remount,size=64m")
        stage.ends_well(stage.victim(str(journal)), "room again")
        stage.is_complete(journal, "room again")
        stage.tally.n += 1
        if mounted:
            subprocess.run(["umount", journal], check=True)
        rmtree(journal)


def forbid_writing(stage):
    """A disk that becomes read-only at a random instant, by remounting; else a folder that goes."""
    _, seconds, _ = stage.truth()
    while stage.goes_on:
        journal = Path(stage.journal())
        journal.mkdir()
        mounted = _mount(journal, "size=64m")
        victim = stage.victim(str(journal), own_files=True)
        stage.instant(seconds / 2)
        forbidden = False
        while mounted and not forbidden and not victim.is_over():
            # Refused while a file is open for writing, as it is between two closes.
            forbidden = _mount(journal, "remount,ro")
        said, _ = stage.ends_well(victim, "read-only")
        if forbidden and n_models(journal) < n_models(stage.truth()[2]):
            _has_failed_once(stage, said, "read-only")
        if mounted:
            _mount(journal, "remount,rw")
        stage.ends_well(stage.victim(str(journal)), "writable again")
        stage.is_complete(journal, "writable again")
        stage.tally.n += 1
        if mounted:
            subprocess.run(["umount", journal], check=True)
        rmtree(journal)


def _has_failed_once(stage, said, what):
    failed = [each for each in said if "cannot be written to" in each]
    if len(failed) != 1:
        stage.tally.wrong.append(f"{what}: {len(failed)} warnings")


def _mount(folder, options):
    """Mount a file system in memory, or mount it anew; whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return not subprocess.run(command, capture_output=True, check=False).returncode


def _have_mounts_of_our_own():
    """Leave the mounts of all other processes alone, and ours to end with us."""
    clone_newns = 0x20000
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0 and not libc.unshare(clone_newns):
        subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False)


def kill_cluster(stage):
    """SIGKILL of a worker of a Dask cluster, or of the client and all it has started."""
    about = {"function": victims.long_program}
    _, seconds, _ = stage.truth(**about)
    while stage.goes_on:
        journal = stage.journal()
        victim = stage.victim(journal, work=victims.searching_on_a_cluster, **about)
        whole = stage.rng.random() < 0.5
        victim.wait_until_ready()
        stage.instant(seconds)
        if whole:
            victim.kill()
            victim = stage.victim(journal, **about)
        else:
            workers = victim.children()
            if workers and not victim.is_over():
                with suppress(ProcessLookupError):
                    os.kill(workers[stage.rng.integers(len(workers))], signal.SIGKILL)
        stage.ends_well(victim, "client" if whole else "worker", **about)
        stage.is_complete(journal, "client" if whole else "worker", **about)
        stage.tally.n += 1
        rmtree(journal)


def limit_memory(stage):
    """RLIMIT_AS, from too little to begin to enough to end, then the same search without it."""
    about, n_crashes = {"function": victims.wide_program}, 0
    stage.truth(**about)
    while stage.goes_on:
        journal = stage.journal()
        room = int(2 ** stage.rng.uniform(20, 30))
        victim = stage.victim(journal, room=room, **about)
        # With a single thread, models come one by one, each after a second: slow, but no hang.
        kept = -1
        while not victim.wait() and (now := n_models(journal)) > kept:
            kept = now
        if not victim.is_over():
            victim.kill()
            stage.tally.wrong.append(f"with {room >> 20} MiB: hangs")
        elif victim.code == -signal.SIGSEGV:
            # The libraries below Python do not check all that they ask for.
            n_crashes += 1
        elif victim.answer() is None and not victim.names_memory():
            stage.tally.wrong.append(f"{room >> 20} MiB: {victim.code}, {victim.last_line()}")
        stage.tally.n += 1
        stage.ends_well(stage.victim(journal, **about), f"after {room >> 20} MiB", **about)
        stage.is_complete(journal, f"after {room >> 20} MiB", **about)
        rmtree(journal)
    if n_crashes:
        stage.tally.notes.append(f"{n_crashes} ended by a crash of a library; resumed")


ACTS = [
    kill_whole_searches,
    kill_long_trainings,
    kill_workers,
    exit_workers,
    interrupt_searches,
    damage_journals,
    search_side_by_side,
    search_in_threads,
    fill_disks,
    forbid_writing,
    kill_cluster,
    limit_memory,
    jump_clocks,
]


def _act(text):
    """An act, and how often if that is said."""
    name, _, rounds = text.partition("=")
    acts = {act.__name__: act for act in ACTS}
    if name not in acts:
        raise argparse.ArgumentTypeError(f"there is no act {name!r}")
    return acts[name], int(rounds) if rounds else None


def main(arguments=None):
    names = [act.__name__ for act in ACTS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "acts",
        nargs="*",
        type=_act,
        metavar="ACT[=ROUNDS]",
        help=f"these instead of all: {', '.join(names)}",
    )
    parser.add_argument("--rounds", type=int, default=100, help="how often each act")
    parser.add_argument("--minutes", type=float, default=60.0, help="at most, for each act")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    _have_mounts_of_our_own()
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("act", "times", "searches", "lost", "wrong", "seconds")
    problems, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), given.minutes, given.seed)
        for act, rounds in given.acts or [(act, None) for act in ACTS]:
            began = time.perf_counter()
            stage.begin(given.rounds if rounds is None else rounds)
            act(stage)
            tally = stage.tally
            problems += [f"{act.__name__}: lost {each}" for each in tally.lost]
            problems += [f"{act.__name__}: wrong {each}" for each in tally.wrong]
            notes += [f"{act.__name__}: {each}" for each in tally.notes]
            counts = tally.n, tally.n_searches, len(tally.lost), len(tally.wrong)
            seconds = f"{time.perf_counter() - began:.0f}"
            table.add_row(act.__name__.replace("_", " "), *map(str, counts), seconds)
            console.print(f"{act.__name__}: {counts}", style="dim")
    console.print(table)
    for each in notes + problems:
        console.print(each, markup=False)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
