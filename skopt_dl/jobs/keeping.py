"""Trainings that a journal remembers: what was trained once is not trained again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from skopt_dl.jobs import plain
from skopt_dl.jobs.content import UnstableError
from skopt_dl.jobs.job import FitJob
from skopt_dl.jobs.journal import OUTCOME, SNAPSHOT, Journal, Record
from skopt_dl.jobs.keys import keys_of, versions
from skopt_dl.jobs.training import OnLeave, Outcome, train
from skopt_dl.schedules import Progress
from skopt_dl.training import Snapshot, TrainingLog, TrainingResult, TrainingState

Trainer = Callable[[Sequence[FitJob], Callable[[], bool] | None, OnLeave | None], Sequence[Outcome]]

# Seconds of training between two snapshots of the models of a stack. What is lost by a kill
# depends on it, and no result.
INTERVAL = 30.0
# Snapshots take no more than this part of the time.
SHARE = 0.02
# Seconds that models which are done may wait for their place on the disk while others train.
SYNC = 1.0

# What an equal job has already, and what is taken apart.
_APART = frozenset({"index", "config", "progress"})


def train_journalled(
    jobs: Sequence[FitJob],
    journal: Journal | None,
    interrupted: Callable[[], bool] | None = None,
    trainer: Trainer = train,
) -> list[Outcome]:
    """Train models of one `kind` as one stack, but for those that a journal has.

    Parameters
    ----------
    jobs : sequence of K FitJob
    journal : Journal or None
        None trains all.
    interrupted : callable, default=None
        As for `train`.
    trainer : callable, default=train
        Trains what remains, with the parameters of `train`. What it does not tell of while it
        trains is written when it returns.

    Returns
    -------
    outcomes : list of K Outcome
        Written and on the disk, where they can be recognised when they come again.
    """
    if journal is None:
        return list(trainer(jobs, interrupted, None))
    return Keeper(journal, jobs).train(interrupted, trainer)


class Keeper:
    """Takes from a journal what it has of some jobs, and writes the rest as it is trained.

    A job that is not there, but was under way when its training was cut short, gets its
    `snapshot`. There is no record of models that end with an error or an interrupt, that have no
    fixed seed, or whose callbacks have to be called.

    Parameters
    ----------
    journal : Journal
    jobs : sequence of K FitJob

    Attributes
    ----------
    outcomes : list of K (Outcome or None)
        What is known.
    """

    def __init__(self, journal: Journal, jobs: Sequence[FitJob]):
        self._journal, self._jobs = journal, list(jobs)
        self._keys = self._find_keys()
        journal.refresh()
        self.outcomes: list[Outcome | None] = [
            None if key is None else self._find(index, key) for index, key in enumerate(self._keys)
        ]
        self._rest = [k for k, outcome in enumerate(self.outcomes) if outcome is None]
        self._snapshots: Path | None = None
        self._last_sync = self._last_snapshots = time.monotonic()
        self._interval = INTERVAL

    def _find_keys(self) -> list[bytes | None]:
        recognisable = [job for job in self._jobs if self._is_recognisable(job)]
        found = dict(zip(map(id, recognisable), keys_of(recognisable), strict=True))
        keys: list[bytes | None] = []
        for job in self._jobs:
            key = found.get(id(job))
            if isinstance(key, UnstableError):
                self._journal.say(
                    ("key", str(key)),
                    f"does not keep some models: {key}, which cannot be recognised when it comes "
                    "again. Pass what is defined by its parameters, or by code, alone.",
                )
                key = None
            keys.append(key)
        return keys

    def _is_recognisable(self, job: FitJob) -> bool:
        if not job.reproducible:
            self._journal.say(
                "random_state",
                "does not keep models with random_state=None: their seeds differ each time, so "
                "they are trained again. Set random_state to a number, random_state=0 say.",
            )
            return False
        if not job.only_prints and (job.on_epoch_begin or job.on_epoch_end):
            self._journal.say(
                "callbacks",
                "does not keep models with callbacks, which have to be called after each epoch: "
                "they are trained again. StackProgress is no such callback, and early_stopping "
                "needs none.",
            )
            return False
        return True

    def _find(self, index: int, key: bytes) -> Outcome | None:
        job = self._jobs[index]
        outcome = self._loaded(OUTCOME, key, lambda data: restore(job, data, index))
        if outcome is None:
            job.snapshot = self._loaded(SNAPSHOT, key, lambda data: Snapshot(**data))
        return outcome

    def _loaded(self, kind: bytes, key: bytes, make: Callable[[Any], Any]) -> Any:
        record = self._journal.find(kind, key)
        if record is None:
            return None
        try:
            return make(plain.loads(record.payload))
        except Exception as error:
            self._journal.say(
                ("payload", type(error)),
                f"has records that cannot be read here ({type(error).__name__}: {error}): these "
                "models are trained again.",
            )
            return None

    def train(
        self, interrupted: Callable[[], bool] | None = None, trainer: Trainer = train
    ) -> list[Outcome]:
        """Train what is not known; see `train_journalled`."""
        if self._rest:
            self._last_sync = self._last_snapshots = time.monotonic()
            try:
                trained = trainer([self._jobs[k] for k in self._rest], interrupted, self.on_leave)
                self._keep(trained)
            finally:
                self._journal.sync()
            self._snapshots = self._journal.replace_snapshots(self._snapshots, [])
        return [outcome for outcome in self.outcomes if outcome is not None]

    def on_leave(self, outcomes: Sequence[Outcome], staying: Sequence[TrainingState]) -> None:
        """Write the outcomes, and now and then where the others are; for `train`."""
        self._keep(outcomes)
        now = time.monotonic()
        if now - self._last_sync > SYNC:
            self._journal.sync()
            self._last_sync = now
        if staying and now - self._last_snapshots > self._interval:
            known = [state for state in staying if self._key_of(state) is not None]
            records = [self._snapshot_of(state) for state in known]
            self._snapshots = self._journal.replace_snapshots(self._snapshots, records)
            self._last_snapshots = time.monotonic()
            self._interval = max(INTERVAL, (self._last_snapshots - now) / SHARE)

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what was trained, and write what is new and worth it."""
        records = []
        for outcome in outcomes:
            index = self._rest[outcome.result.index]
            if self.outcomes[index] is not None:
                continue
            key, job = self._keys[index], self._jobs[index]
            ended = outcome.error is None and outcome.result.stop_reason != "interrupted"
            if key is not None and ended:
                payload = plain.dumps(data_of(job, outcome))
                description = _description(job, outcome.result)
                records.append(Record(OUTCOME, key, 0, description, payload))
            self.outcomes[index] = outcome
        self._journal.write(records)

    def _key_of(self, state: TrainingState) -> bytes | None:
        return self._keys[self._rest[state.index]]

    def _snapshot_of(self, state: TrainingState) -> Record:
        key, job = self._key_of(state), self._jobs[self._rest[state.index]]
        assert key is not None
        payload = plain.dumps(vars(state.snapshot()))
        return Record(SNAPSHOT, key, state.n_epochs, _description(job, state), payload)


def data_of(job: FitJob, outcome: Outcome) -> dict[str, Any]:
    """What became of a job, as plain data; its generator is where the training has left it."""
    result = outcome.result
    kept = {f.name: getattr(result, f.name) for f in fields(result) if f.name not in _APART}
    return {
        "result": kept,
        "progress": dict(vars(result.progress)),
        "device": outcome.device,
        "generator": job.rng.bit_generator.state,
    }


def restore(job: FitJob, data: dict[str, Any], index: int = 0) -> Outcome:
    """Return the outcome of a job as if it had been trained now, its generator included."""
    progress = Progress()
    vars(progress).update(data["progress"])
    result = TrainingResult(index, job.config, progress, **data["result"])
    job.rng.bit_generator.state = data["generator"]
    return Outcome(result, data["device"], None)


def _description(job: FitJob, training: TrainingLog) -> dict[str, Any]:
    return {
        "network": job.network.describe(),
        "dtype": str(job.params.dtype),
        "optimizer": type(job.config.optimizer).__name__,
        "epochs": training.n_epochs,
        "written": math.floor(time.time()),
        "versions": ", ".join(versions()),
    }
