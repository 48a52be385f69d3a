"""A journal returns what was written or nothing, whatever happened to its files."""

import errno
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_jobs import X, Y, assert_same_outcome, made_job
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skopt_dl
from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.callbacks import EpochCallback, StackProgress
from skopt_dl.jobs import Journal, JournalWarning, Outcome, keeping, plain, train, train_journalled
from skopt_dl.jobs.journal import OUTCOME, SNAPSHOT, Record, records, writers
from skopt_dl.jobs.keys import key_of


def record(k, size=100, kind=OUTCOME, number=0):
    """A record that is all k's."""
    return Record(kind, bytes([k]) * 32, number, {"k": k}, bytes([k]) * size)


def key(k):
    return bytes([k]) * 32


@pytest.fixture
def abandoned(monkeypatch):
    """Files are those of processes that have ended."""
    monkeypatch.setattr(writers, "may_be_written", lambda path: False)


@contextmanager
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def said(*matches):
    """So many warnings of a journal, in order, and no others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(each.message) for each in caught]
    assert len(texts) == len(matches), texts
    for text, match in zip(texts, matches, strict=True):
        assert re.search(match, text), text


def found(folder, kind=OUTCOME, n=8):
    """What a new journal finds of the first keys, by number."""
    journal = Journal(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        journal.refresh()
        return {k: r for k in range(n) if (r := journal.find(kind, key(k))) is not None}


def only_file(folder):
    (path,) = folder.iterdir()
    return path


# Files


def test_what_is_written_is_found_by_others(tmp_path):
    journal, other = Journal(tmp_path / "new" / "folder"), Journal(tmp_path / "new" / "folder")
    with no_warnings():
        journal.write([record(1), record(2, size=0)])
        journal.sync()
        other.refresh()
        assert [other.find(OUTCOME, key(k)) for k in (1, 2, 3)] == [record(1), record(2, 0), None]
        assert other.find(SNAPSHOT, key(1)) is None
        journal.write([record(3)])
        assert other.find(OUTCOME, key(3)) is None
        other.refresh()
        assert other.find(OUTCOME, key(3)) == record(3)


def test_a_journal_that_only_reads_makes_no_file(tmp_path):
    Journal(tmp_path).refresh()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path, inside):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ValueError, match=r"is, or lies in, a file.*Pass the path of one"):
        Journal(path / "folder" if inside else path)


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path, monkeypatch):
    def refuse(**kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("skopt_dl.jobs.journal.folder.TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"cannot be written to \(Read-only.*pass a folder"):
        Journal(tmp_path)


def test_the_newest_snapshot_wins_and_a_damaged_one_is_passed_over(tmp_path):
    journal = Journal(tmp_path)
    journal.replace_snapshots(None, [record(1, 10, SNAPSHOT, 3)])
    newest = Journal(tmp_path).replace_snapshots(None, [record(1, 11, SNAPSHOT, 7)])
    journal.replace_snapshots(None, [record(1, 12, SNAPSHOT, 5)])
    assert found(tmp_path, SNAPSHOT)[1].number == 7
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    assert found(tmp_path, SNAPSHOT)[1] == record(1, 12, SNAPSHOT, 5)


def test_snapshots_take_the_place_of_older_ones_and_go(tmp_path):
    journal = Journal(tmp_path)
    path = journal.replace_snapshots(None, [record(1, kind=SNAPSHOT)])
    other = journal.replace_snapshots(path, [record(2, kind=SNAPSHOT)])
    assert only_file(tmp_path) == other
    assert journal.replace_snapshots(other, []) is None
    assert not list(tmp_path.iterdir())


# Damage


def test_a_torn_record_is_dropped_wherever_it_was_cut(tmp_path, abandoned):
    Journal(tmp_path).write([record(1), record(2), record(3)])
    path = only_file(tmp_path)
    content = path.read_bytes()
    n = len(content) // 3
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert found(tmp_path) == {k: record(k) for k in range(1, 1 + size // n)}


def test_a_torn_tail_is_said_once_with_its_file_and_bytes(tmp_path, abandoned):
    Journal(tmp_path).write([record(1)])
    path = only_file(tmp_path)
    with path.open("ab") as file:
        file.write(records.pack(record(2))[:-10])
    n = len(records.pack(record(2))) - 10
    journal = Journal(tmp_path)
    with said(rf"{path.name} \({n} bytes\).*trained again"):
        journal.refresh()
        journal.refresh()
    assert journal.find(OUTCOME, key(1)) == record(1)


def test_a_record_that_is_being_written_is_waited_for(tmp_path):
    Journal(tmp_path).write([record(1)])
    path, content = only_file(tmp_path), records.pack(record(2))
    journal = Journal(tmp_path)
    with no_warnings():
        for part in (content[:20], content[20:90], content[90:-1], content[-1:]):
            assert journal.find(OUTCOME, key(2)) is None
            with path.open("ab") as file:
                file.write(part)
            journal.refresh()
        assert journal.find(OUTCOME, key(2)) == record(2)


def test_what_is_written_while_a_file_is_read_makes_no_damage():
    whole = b"".join(ORIGINAL)
    ends = np.cumsum([len(each) for each in ORIGINAL])
    for size in range(len(whole)):
        found = records.scan(lambda offset, n: whole[offset : offset + n], 0, size)
        assert found.damaged == []
        assert len(found.places) == (ends <= size).sum()


def test_damage_in_the_middle_is_said_once_and_the_rest_is_found(tmp_path):
    Journal(tmp_path).write([record(1), record(2), record(3)])
    path = only_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    journal = Journal(tmp_path)
    with said(f"{path.name}.*not what was written"):
        for _ in range(2):
            journal.refresh()
            assert journal.find(OUTCOME, key(2)) is None
    assert [journal.find(OUTCOME, key(k)) for k in (1, 3)] == [record(1), record(3)]


ORIGINAL = [records.pack(record(k, size)) for k, size in enumerate((0, 50, 300, 7, 120))]


def test_a_record_that_has_lost_as_much_as_the_next_is_long_does_not_hide_it(tmp_path):
    content = bytearray(b"".join([*ORIGINAL[1:], ORIGINAL[0]]))
    n = len(ORIGINAL[0])
    del content[-n - 20 - n : -n - 20]
    (tmp_path / writers.new_name(writers.RECORDS)).write_bytes(content)
    assert found(tmp_path).keys() == {0, 1, 2, 3}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_random_damage_never_makes_another_record(tmp_path_factory, data):
    content = bytearray(b"".join(ORIGINAL))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, max(0, len(content) - 1)))
        part = content[start : start + data.draw(st.integers(1, 200))]
        kind = data.draw(st.sampled_from(["change", "cut", "double", "insert", "swap"]))
        if kind == "change":
            content[start : start + len(part)] = bytes(b ^ 0x55 for b in part)
        elif kind == "cut":
            del content[start : start + len(part)]
        elif kind == "double":
            content[start:start] = part
        elif kind == "insert":
            content[start:start] = data.draw(st.binary(max_size=100))
        else:
            content = content[start:] + content[:start]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / writers.new_name(writers.RECORDS)).write_bytes(content)
    kept = found(folder)
    for k, each in kept.items():
        assert each == record(k, (0, 50, 300, 7, 120)[k])
    # What is whole in the file is found.
    whole = {k for k, original in enumerate(ORIGINAL) if original in content}
    assert kept.keys() == whole


def test_a_header_within_reach_of_a_chunk_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_CHUNK", 16)
    for n in range(40):
        folder = tmp_path / str(n)
        folder.mkdir()
        content = bytes(n) + records.pack(record(1))
        (folder / writers.new_name(writers.RECORDS)).write_bytes(content)
        assert found(folder) == {1: record(1)}


# Writes that fail


def test_a_write_that_fails_is_said_once_and_later_records_are_found(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.write([record(1)])
    write, full = os.write, True

    def failing(file, content):
        if full:
            write(file, bytes(content)[:37])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(os, "write", failing)
    match = rf"{tmp_path}.*No space left.*search goes on.*not kept"
    with said(match):
        journal.write([record(2)])
        journal.write([record(3)])
    full = False
    with no_warnings():
        journal.write([record(4)])
        reader = Journal(tmp_path)
        reader.refresh()
        assert [reader.find(OUTCOME, key(k)) for k in (1, 2, 3, 4)] == [
            record(1),
            None,
            None,
            record(4),
        ]


def test_a_torn_record_that_cannot_be_cut_off_stays_in_a_file_of_its_own(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    write = os.write

    def failing(file, content):
        write(file, bytes(content)[:37])
        raise OSError(errno.EIO, "Input/output error")

    def refuse(file, size):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.warns(JournalWarning, match="Input/output"):
            journal.write([record(2)])
    journal.write([record(4)])
    assert len(list(tmp_path.iterdir())) == 2
    assert found(tmp_path) == {4: record(4)}


def test_a_limit_of_the_system_in_the_midst_of_a_write_loses_one_record(tmp_path):
    script = """
import resource, sys, warnings
from skopt_dl.jobs.journal import Journal, OUTCOME, Record
def record(k):
    return Record(OUTCOME, bytes([k]) * 32, 0, {"k": k}, bytes([k]) * 1000)
journal = Journal(sys.argv[1])
journal.write([record(1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    journal.write([record(2)])
    journal.sync()
assert "File too large" in str(caught[0].message), caught
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.write([record(3)])
"""
    run_python(script, tmp_path)
    assert found(tmp_path) == {1: record(1, 1000), 3: record(3, 1000)}


def run_python(script, *arguments):
    root = skopt_dl.__path__[0].rpartition("/")[0]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root}/tests"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, env=environment, capture_output=True, text=True)


def test_warnings_can_be_told_to_somebody_else(tmp_path):
    lines = []
    journal = Journal(tmp_path, tell=lines.append)
    with no_warnings():
        train_journalled(stack(random_state=None), journal)
    assert len(lines) == 1
    assert "random_state=None" in lines[0]


def test_a_file_that_was_removed_is_not_written_to_any_more(tmp_path):
    journal = Journal(tmp_path)
    journal.write([record(1)])
    only_file(tmp_path).unlink()
    journal.refresh()
    assert journal.find(OUTCOME, key(1)) is None
    journal.write([record(2)])
    assert found(tmp_path) == {2: record(2)}


def test_a_folder_that_is_gone_ends_no_search(tmp_path):
    journal = Journal(tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    with said("cannot be read", "cannot be written to"):
        journal.refresh()
        journal.write([record(1)])
        journal.write([record(2)])
        journal.replace_snapshots(None, [record(1)])


# Threads and processes


def test_threads_share_a_file_and_lose_nothing(tmp_path):
    journal = Journal(tmp_path)

    def write(k):
        for _ in range(20):
            journal.write([record(k, 1000)])
            journal.refresh()

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.refresh()
    assert only_file(tmp_path).stat().st_size == 160 * len(records.pack(record(1, 1000)))
    assert [journal.find(OUTCOME, key(k)) for k in range(8)] == [record(k, 1000) for k in range(8)]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_writes_to_a_file_of_its_own_even_while_the_lock_is_held(tmp_path):
    journal = Journal(tmp_path)
    journal.write([record(1)])
    held, over = threading.Event(), threading.Event()

    def hold():
        with journal._lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        signal.alarm(10)  # A child that waits for the lock would do so for ever.
        try:
            journal.write([record(2)])
            journal.refresh()
            os._exit(0 if journal.find(OUTCOME, key(1)) == record(1) else 3)
        finally:
            os._exit(4)
    _, status = os.waitpid(child, 0)
    over.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    journal.write([record(3)])
    assert len(list(tmp_path.iterdir())) == 2
    assert found(tmp_path) == {k: record(k) for k in (1, 2, 3)}


def test_a_journal_travels_by_its_folder(tmp_path):
    journal = Journal(tmp_path)
    journal.write([record(1)])
    copy = pickle.loads(pickle.dumps(journal))
    copy.write([record(2)])
    assert len(list(tmp_path.iterdir())) == 2
    assert found(tmp_path).keys() == {1, 2}


def test_descriptors_are_given_back(tmp_path):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for k in range(5):
        journal = Journal(tmp_path)
        journal.write([record(k)])
        journal.refresh()
        del journal
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


# Trainings

STACK = [{"alpha": 0.1}, {"alpha": 0.2, "max_iter": 3}, {"alpha": 0.3}]


def stack(**params):
    return [made_job(**{**each, **params}) for each in STACK]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True, "n_iter_no_change": 2, "validation_fraction": 0.3},
        {"optimizer": "lbfgs", "batch_size": "auto"},
        {"dropout": 0.2, "batch_norm": True, "ema_decay": 0.9, "dtype": "float32"},
        {"optimizer": skopt_dl.optimizers.SGD(1e200)},
    ],
    ids=["plain", "early stopping", "L-BFGS", "features", "divergence"],
)
def test_what_was_trained_is_taken_and_cannot_be_told_from_a_training(tmp_path, params):
    expected_jobs, first, second = stack(**params), stack(**params), stack(**params)
    expected = train(expected_jobs)
    written = train_journalled(first, Journal(tmp_path))
    with no_warnings():
        taken = train_journalled(second, Journal(tmp_path), trainer=None)
    for jobs, outcomes in ((first, written), (second, taken)):
        assert [each.result.index for each in outcomes] == [0, 1, 2]
        for pair in zip(expected, expected_jobs, outcomes, jobs, strict=True):
            assert_same_outcome(*pair)
    assert [each.result.config for each in taken] == [each.config for each in second]
    for a, b in zip(written, taken, strict=True):
        assert a.result.history["seconds"] == b.result.history["seconds"]


def test_only_what_is_missing_is_trained(tmp_path):
    train_journalled([stack()[1]], Journal(tmp_path))
    jobs, seen = stack(), []

    def trainer(rest, interrupted, on_leave):
        seen.extend(rest)
        return train(rest, interrupted, on_leave)

    outcomes = train_journalled(jobs, Journal(tmp_path), trainer=trainer)
    assert seen == [jobs[0], jobs[2]]
    expected_jobs = stack()
    for pair in zip(train(expected_jobs), expected_jobs, outcomes, jobs, strict=True):
        assert_same_outcome(*pair)


def test_a_model_is_written_when_it_leaves_and_what_is_cut_short_is_not(tmp_path):
    epochs = iter([False] * 4 + [True])
    train_journalled(stack(), Journal(tmp_path), lambda: next(epochs))
    journal = Journal(tmp_path)
    journal.refresh()
    kept = [journal.find(OUTCOME, key_of(job)) is not None for job in stack()]
    assert kept == [False, True, False]


def test_a_trainer_that_tells_nothing_is_written_at_the_end(tmp_path):
    train_journalled(stack(), Journal(tmp_path), trainer=lambda jobs, i, _: train(jobs, i))
    assert len(train_journalled(stack(), Journal(tmp_path), trainer=None)) == 3


def test_a_training_with_an_error_is_not_kept(tmp_path):
    def scorer(model, x, y):
        raise RuntimeError("no score")

    def job():
        return made_job(early_stopping=True, scoring=scorer)

    for _ in range(2):
        (outcome,) = train_journalled([job()], Journal(tmp_path))
        assert str(outcome.error) == "no score"
    assert not list(tmp_path.iterdir())


def test_models_without_a_seed_are_not_kept_and_one_warning_says_so(tmp_path):
    journal = Journal(tmp_path)
    with said(r"random_state=None.*random_state=0"):
        for _ in range(2):
            train_journalled(stack(random_state=None), journal)
    assert not list(tmp_path.iterdir())


def test_a_seeded_generator_is_a_seed(tmp_path):
    seeded = {"random_state": np.random.RandomState(3)}
    assert made_job(**seeded).reproducible
    assert not made_job(random_state=np.random.mtrand._rand).reproducible


def fit_with(callback, journal, monkeypatch, **params):
    """Fit a model whose job is trained with a journal."""

    def run(job):
        (outcome,) = train_journalled([job], journal)
        return outcome.result, outcome.device

    monkeypatch.setattr("skopt_dl.estimators.base.run", run)
    model = MLPClassifier(6, max_iter=2, n_iter_no_change=5, random_state=0, **params)
    if callback is not None:
        model.set_callbacks(callback)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stopped after max_iter|.*max_iter")
        return model.fit(X, Y)


class Counting(EpochCallback):
    epochs = 0

    def after_epoch(self, model, memory):
        self.epochs += 1


def test_callbacks_are_called_each_time_and_one_warning_says_so(tmp_path, monkeypatch):
    journal, callback = Journal(tmp_path), Counting()
    with pytest.warns(JournalWarning, match="callbacks, which have to be called"):
        fit_with(callback, journal, monkeypatch)
    fit_with(callback, journal, monkeypatch)
    assert callback.epochs == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("params", [{"verbose": True}, {"callback": StackProgress()}])
def test_models_that_only_print_are_kept(tmp_path, monkeypatch, capsys, params):
    params = {"callback": None, **params}
    first = fit_with(params.pop("callback"), Journal(tmp_path), monkeypatch, **params)
    assert capsys.readouterr().out
    again = fit_with(None, Journal(tmp_path), monkeypatch, verbose=params.get("verbose", False))
    assert not capsys.readouterr().out
    assert first.history_ == again.history_


def test_what_cannot_be_recognised_is_trained_and_said_once(tmp_path):
    lock = threading.Lock()

    def scorer(model, x, y):
        with lock:
            return model.score(x, y)

    def jobs():
        return [made_job(early_stopping=True, scoring=scorer), made_job(early_stopping=True)]

    journal = Journal(tmp_path)
    with said(r"does not keep some models.*lock"):
        train_journalled(jobs(), journal)
        assert len(train_journalled(jobs(), journal)) == 2
    assert found_outcome(tmp_path, jobs()[1])


def found_outcome(folder, job):
    journal = Journal(folder)
    journal.refresh()
    return journal.find(OUTCOME, key_of(job)) is not None


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize(
    "payload", [pickle.dumps(Bomb()), b"no pickle", plain.dumps({"other": 1}), plain.dumps(None)]
)
def test_foreign_payloads_are_not_run_and_the_model_is_trained(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    journal = Journal(tmp_path / "journal")
    job, expected = made_job(), made_job()
    journal.write([Record(kind, key_of(job), 9, {}, payload) for kind in (OUTCOME, SNAPSHOT)])
    with pytest.warns(JournalWarning, match=r"cannot be read here.*trained again"):
        outcomes = train_journalled([job], journal)
    assert_same_outcome(*train([expected]), expected, *outcomes, job)
    assert not (tmp_path / "exploded").exists()


def test_the_search_goes_on_when_the_disk_is_full(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path)
    monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(keeping, "INTERVAL", 0.0)
    monkeypatch.setattr("skopt_dl.jobs.journal.writers.put_in_place", refuse)
    jobs, expected = stack(), stack()
    with said("No space left"):
        outcomes = train_journalled(jobs, journal)
    for pair in zip(train(expected), expected, outcomes, jobs, strict=True):
        assert_same_outcome(*pair)


# Snapshots of what is under way


@pytest.fixture
def often(monkeypatch):
    """Snapshots after every epoch."""
    monkeypatch.setattr(keeping, "INTERVAL", 0.0)
    monkeypatch.setattr(keeping, "SHARE", 1e9)


@pytest.mark.parametrize("features", [{}, {"dropout": 0.3, "ema_decay": 0.9, "batch_norm": True}])
def test_a_training_goes_on_from_its_last_snapshot(tmp_path, often, features):
    class KilledError(Exception):
        pass

    epochs = iter(range(100))

    def die():
        if next(epochs) == 5:
            raise KilledError

    with pytest.raises(KilledError):
        train_journalled(stack(**features), Journal(tmp_path), die)
    assert {path.suffix for path in tmp_path.iterdir()} == {".journal", ".snapshots"}
    jobs, expected_jobs = stack(**features), stack(**features)
    numbers = []

    def trainer(rest, interrupted, on_leave):
        numbers.extend(job.snapshot.n_epochs for job in rest)
        return train(rest, interrupted, on_leave)

    outcomes = train_journalled(jobs, Journal(tmp_path), trainer=trainer)
    assert numbers == [5, 5]
    for pair in zip(train(expected_jobs), expected_jobs, outcomes, jobs, strict=True):
        assert_same_outcome(*pair)


def test_snapshots_are_gone_when_the_stack_is_done(tmp_path, often):
    train_journalled(stack(), Journal(tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".journal"]


def test_snapshots_take_a_small_part_of_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "INTERVAL", 0.0)
    taken = []
    journal = Journal(tmp_path)
    original = journal.replace_snapshots

    def slow(before, new):
        taken.append(len(new))
        clock[0] += 1.0
        return original(before, new)

    clock = [0.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(journal, "replace_snapshots", slow)
    job = made_job(max_iter=200, n_iter_no_change=200)

    def tick():
        clock[0] += 1.0

    train_journalled([job], journal, tick)
    # Each took a second, so there are fifty between two.
    assert taken[:-1] == [1] * 4


# One process after the other, forked: each lives for so many epochs.
KILLED = """
import os, signal, sys
from made_jobs import made_job
from skopt_dl.jobs import Journal, keeping, train_journalled
keeping.INTERVAL, keeping.SHARE = 0.0, 1e9
for life in map(int, sys.argv[2:]):
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    jobs = [made_job(alpha=a, max_iter=n, dropout=0.2) for a, n in ((0.1, 9), (0.2, 3), (0.3, 9))]
    epochs = iter(range(100))
    def die():
        if next(epochs) == life:
            os.kill(os.getpid(), signal.SIGKILL)
    train_journalled(jobs, Journal(sys.argv[1]), die)
    os._exit(0)
"""


def test_killed_processes_lose_nothing_that_they_had_written(tmp_path):
    def jobs():
        return [
            made_job(alpha=a, max_iter=n, dropout=0.2) for a, n in ((0.1, 9), (0.2, 3), (0.3, 9))
        ]

    # Three lives of two, three and three epochs.
    codes = run_python(KILLED, tmp_path, 2, 3, 3).stdout.split()
    assert codes == [str(-signal.SIGKILL)] * 3
    rest, expected, seen = jobs(), jobs(), []

    def trainer(remaining, interrupted, on_leave):
        seen.extend((job.config.max_epochs, job.snapshot.n_epochs) for job in remaining)
        return train(remaining, interrupted, on_leave)

    outcomes = train_journalled(rest, Journal(tmp_path), trainer=trainer)
    assert seen == [(9, 8), (9, 8)]
    for pair in zip(train(expected), expected, outcomes, rest, strict=True):
        assert_same_outcome(*pair)


SMALL = {"hidden_layer_sizes": 6, "max_iter": 2, "n_iter_no_change": 5}
SEARCHES = {
    "grid over pipelines": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(**SMALL, random_state=0)),
        {"mlpclassifier__optimizer": ["adam", "lbfgs"]},
        cv=2,
    ),
    "early stopping by a scorer": lambda: GridSearchCV(
        MLPClassifier(**SMALL, early_stopping=True, scoring="f1", random_state=0),
        {"alpha": [0.1, 0.2]},
        cv=2,
    ),
    "own units": lambda: GridSearchCV(
        MLPRegressor(**SMALL, early_stopping=True, standardize_target=True, random_state=0),
        {"alpha": [0.1, 0.2]},
        cv=2,
    ),
    "seeded generator": lambda: GridSearchCV(
        MLPClassifier(**SMALL, random_state=np.random.RandomState(4)), {"alpha": [0.1, 0.2]}, cv=2
    ),
    "bagging inside": lambda: GridSearchCV(
        BaggingClassifier(MLPClassifier(**SMALL), n_estimators=2, random_state=0),
        {"estimator__alpha": [0.1, 0.2]},
        cv=2,
    ),
}


@pytest.mark.filterwarnings("ignore:Stopped after max_iter|.*max_iter")
@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_that_is_run_again_trains_nothing_and_has_the_same_table(
    tmp_path, monkeypatch, search
):
    def table(trainer, journal):
        def run(job):
            (outcome,) = train_journalled([job], journal, trainer=trainer)
            return outcome.result, outcome.device

        monkeypatch.setattr("skopt_dl.estimators.base.run", run)
        results = SEARCHES[search]().fit(X, Y).cv_results_
        return {name: values for name, values in results.items() if "time" not in name}

    expected = table(train, None)
    np.testing.assert_equal(table(train, Journal(tmp_path)), expected)
    np.testing.assert_equal(table(None, Journal(tmp_path)), expected)


def test_an_outcome_says_what_it_is_in_its_description(tmp_path):
    (outcome,) = train_journalled([made_job()], Journal(tmp_path))
    assert isinstance(outcome, Outcome)
    journal = Journal(tmp_path)
    journal.refresh()
    description = journal.find(OUTCOME, key_of(made_job())).description
    assert description["network"] == "5-6-1"
    assert description["optimizer"] == "Adam"
    assert description["epochs"] == 7
    assert f"numpy {np.__version__}" in description["versions"]
