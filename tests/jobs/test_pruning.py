"""Pruning removes what no search would take, and loses nothing, whoever else is at work."""

import os
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skopt_dl.jobs import Journal, JournalWarning
from skopt_dl.jobs.journal import OUTCOME, SNAPSHOT, Record, prune, survey, writers
from skopt_dl.jobs.journal.records import pack

DAY = 86_400.0


def record(k, kind=OUTCOME, number=0, days=0.0, versions="now"):
    description = {
        "network": "5-6-1",
        "dtype": "float64",
        "optimizer": "Adam",
        "written": int(time.time() - days * DAY),
        "versions": versions,
    }
    return Record(kind, bytes([k]) * 32, number, description, bytes([k]) * 100)


def write(folder, *records, torn=b"", alive=False, suffix=writers.RECORDS):
    """A file with records, of a process that has ended, or one that has not."""
    name = writers.new_name(suffix)
    if not alive:
        machine, _, rest = name.split("-")
        # No system has so many processes.
        name = f"{machine}-{2**30}-{rest}"
    path = folder / name
    path.write_bytes(b"".join(map(pack, records)) + torn)
    return path


def taken(folder):
    """What a search would find: (model, kind, number)."""
    journal = Journal(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        journal.refresh()
    found = set()
    for k in range(10):
        outcome = journal.find(OUTCOME, bytes([k]) * 32)
        best = outcome or journal.find(SNAPSHOT, bytes([k]) * 32)
        if best is not None:
            found.add((k, best.kind, best.number))
    return found


def test_survey_counts_what_there_is(tmp_path):
    write(tmp_path, record(1, days=3), record(2), torn=pack(record(3))[:-1])
    write(tmp_path, record(2), alive=True)
    write(tmp_path, record(2, SNAPSHOT, 4), record(4, SNAPSHOT, 5), suffix=writers.SNAPSHOTS)
    write(tmp_path, record(4, SNAPSHOT, 6), suffix=writers.SNAPSHOTS)
    (tmp_path / "notes.txt").write_text("not ours")
    seen = survey(tmp_path)
    assert (seen.n_files, seen.n_busy_files) == (4, 1)
    assert (seen.n_models, seen.n_snapshots, seen.n_superseded) == (2, 1, 3)
    assert (seen.n_damaged, seen.n_damaged_bytes) == (1, len(pack(record(3))) - 1)
    assert seen.groups == {("5-6-1", "float64", "Adam", "now"): 2}
    assert 2.9 * DAY < seen.written[1] - seen.written[0] < 3.1 * DAY


def test_a_record_that_was_cut_counts_as_damaged_once(tmp_path):
    path = write(tmp_path, record(1), record(2), record(3))
    content = path.read_bytes()
    n = len(content) // 3
    path.write_bytes(content[: 2 * n - 50] + content[2 * n - 20 :])
    seen = survey(tmp_path)
    assert (seen.n_models, seen.n_damaged, seen.n_damaged_bytes) == (2, 1, n - 30)


def test_pruning_keeps_what_counts_in_one_file_for_each_kind(tmp_path):
    write(tmp_path, record(1), record(2), torn=b"torn")
    write(tmp_path, record(2), record(3))
    write(tmp_path, record(3, SNAPSHOT, 9), record(4, SNAPSHOT, 5), suffix=writers.SNAPSHOTS)
    write(tmp_path, record(4, SNAPSHOT, 6), suffix=writers.SNAPSHOTS)
    before, size = taken(tmp_path), sum(path.stat().st_size for path in tmp_path.iterdir())
    pruned = prune(tmp_path)
    assert taken(tmp_path) == before
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".journal", ".snapshots"]
    after = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert pruned == (1, 3, 0, 0, 2, size - after)
    assert prune(tmp_path) == (0, 0, 0, 0, 0, 0)


def test_a_damaged_copy_does_not_take_the_place_of_a_whole_one(tmp_path):
    path = write(tmp_path, record(1))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    write(tmp_path, record(1))
    assert prune(tmp_path).n_damaged == 1
    assert taken(tmp_path) == {(1, OUTCOME, 0)}


def test_old_records_and_those_of_other_versions_go_on_request(tmp_path):
    write(tmp_path, record(1, days=10), record(2, versions="then"), record(3))
    assert prune(tmp_path)[:4] == (0, 0, 0, 0)
    assert prune(tmp_path, older_than=5)[:4] == (0, 0, 1, 0)
    # What was written anew belongs to this process, which has not ended.
    for path in tmp_path.iterdir():
        path.rename(tmp_path / path.name.replace(str(os.getpid()), str(2**30)))
    assert prune(tmp_path, keep_versions="now")[:4] == (0, 0, 0, 1)
    assert taken(tmp_path) == {(3, OUTCOME, 0)}


def test_files_of_processes_at_work_are_left_alone(tmp_path):
    path = write(tmp_path, record(1), record(1), record(2, days=9), torn=b"torn", alive=True)
    idle = write(tmp_path, record(1))
    content = path.read_bytes()
    prune(tmp_path, older_than=1)
    assert path.read_bytes() == content
    # The copy in the file that stays is the one that counts.
    assert not idle.exists()


def test_a_file_of_another_machine_is_somebody_s_for_a_day(tmp_path):
    path = write(tmp_path, record(1), torn=b"torn")
    other = path.rename(tmp_path / "0000abcd-1-00000000.journal")
    assert writers.may_be_written(other)
    os.utime(other, (time.time() - 2 * DAY,) * 2)
    assert not writers.may_be_written(other)


def test_a_file_that_grows_meanwhile_is_kept(tmp_path, monkeypatch):
    path = write(tmp_path, record(1), torn=b"torn")
    original = writers.put_in_place

    def slow(*args):
        with path.open("ab") as file:
            file.write(pack(record(2)))
        return original(*args)

    monkeypatch.setattr(writers, "put_in_place", slow)
    prune(tmp_path)
    assert {k for k, _, _ in taken(tmp_path)} == {1, 2}


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("moment", ["open", "fsync", "replace", "unlink", "unlink again"])
def test_a_kill_in_the_middle_loses_nothing(tmp_path, monkeypatch, moment):
    for k in (1, 2, 3):
        write(tmp_path, record(k), torn=b"torn")
    before, calls = taken(tmp_path), []

    def die(*args, **kwargs):
        calls.append(args)
        if moment == "unlink again" and len(calls) == 1:
            return original(*args, **kwargs)
        raise KilledError

    module, name = {
        "open": (writers.Path, "open"),
        "fsync": (writers.os, "fsync"),
        "replace": (writers.Path, "replace"),
        "unlink": (writers.Path, "unlink"),
        "unlink again": (writers.Path, "unlink"),
    }[moment]
    original = getattr(module, name)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(KilledError):
            prune(tmp_path)
    assert taken(tmp_path) == before
    prune(tmp_path)
    assert taken(tmp_path) == before
    assert survey(tmp_path).n_damaged == 0


def test_unfinished_files_of_processes_that_have_ended_go(tmp_path):
    path = write(tmp_path, record(1), suffix=writers.RECORDS + writers.UNFINISHED)
    busy = write(tmp_path, record(1), suffix=writers.RECORDS + writers.UNFINISHED, alive=True)
    assert taken(tmp_path) == set()
    prune(tmp_path)
    assert not path.exists()
    assert busy.exists()


def test_a_writer_at_work_notices_nothing_of_a_pruning(tmp_path):
    write(tmp_path, record(1), torn=b"torn")
    journal = Journal(tmp_path)
    with pytest.warns(RuntimeWarning, match="torn|middle of a record"):
        journal.refresh()
    journal.write([record(2)])
    prune(tmp_path)
    journal.write([record(3)])
    journal.refresh()
    for k in (1, 2, 3):
        assert journal.find(OUTCOME, bytes([k]) * 32) is not None


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_is_in_the_files_a_search_finds_the_same_after_pruning(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    kinds = st.sampled_from([OUTCOME, SNAPSHOT])
    for _ in range(data.draw(st.integers(0, 5))):
        chosen = data.draw(
            st.lists(st.tuples(st.integers(0, 4), kinds, st.integers(0, 3)), max_size=4)
        )
        each = [record(k, kind, number if kind == SNAPSHOT else 0) for k, kind, number in chosen]
        torn = data.draw(st.binary(max_size=5))
        write(folder, *each, torn=torn, alive=data.draw(st.booleans()))
    before = taken(folder)
    prune(folder)
    assert taken(folder) == before


@pytest.mark.parametrize("do", [survey, prune])
def test_no_folder_is_an_error(tmp_path, do):
    with pytest.raises(ValueError, match="is no folder"):
        do(tmp_path / "nothing")
