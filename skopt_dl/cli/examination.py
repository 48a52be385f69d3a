"""The doctor's examination: in another process, since plugins may hang, or end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from queue import Empty, SimpleQueue
from typing import Any

from skopt_dl.cli.kit import CHECKED, results_of
from skopt_dl.plugins import PluginWarning, watching
from skopt_dl.plugins.doctor import Diagnosis, diagnose
from skopt_dl.plugins.manager import manager
from skopt_dl.plugins.records import Plugin, Problem
from skopt_dl.plugins.switches import DISABLE_VARIABLE
from skopt_dl.programs import chosen_engine

_CODE = "from skopt_dl.cli.examination import report; report({with_checks})"
# Seconds until the other process has begun.
_START = 600.0


def examine(with_checks: bool, limit: float) -> list[Diagnosis]:
    """Examine all installed plugins, and the engine.

    Parameters
    ----------
    with_checks : bool
        Whether to make all checks of the kit, too.
    limit : float
        Seconds for each thing that a plugin is asked for: an import, a hook, a check.

    Returns
    -------
    diagnoses : list of Diagnosis
        The last is that of the engine. A plugin that hangs, or ends the process, has failed; the
        others are examined without it.
    """
    ended: dict[str, Problem] = {}
    while True:
        asked, found, how = _ask(with_checks, limit, ended)
        if found is not None:
            return [_with_end(each, ended) for each in found]
        distribution, doing = asked
        if not distribution or distribution in ended:
            raise RuntimeError(f"The examination {how}: run it again, or one plugin at a time.")
        ended[distribution] = Problem(
            f"{doing[:1].upper()}{doing[1:]} {how}.",
            f"Repair or upgrade it (`pip install --upgrade {distribution}`), or switch it off: "
            f"{DISABLE_VARIABLE}={distribution}.",
        )


def _with_end(diagnosis: Diagnosis, ended: dict[str, Problem]) -> Diagnosis:
    problem = ended.get(diagnosis.subject)
    return replace(diagnosis, status="failed", problems=(problem,)) if problem else diagnosis


def _ask(
    with_checks: bool, limit: float, without: dict[str, Problem]
) -> tuple[tuple[str, str], list[Diagnosis] | None, str]:
    """Examine in another process: what was asked for last, what was found, or how that ended."""
    switched_off = ",".join([*filter(None, [os.environ.get(DISABLE_VARIABLE)]), *without])
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE.format(with_checks=with_checks)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, DISABLE_VARIABLE: switched_off},
    )
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_pass_on, args=(process, lines), daemon=True).start()
    asked = ("", "")
    try:
        while line := lines.get(timeout=limit if asked[0] else _START):
            said = json.loads(line)
            if "found" in said:
                return asked, [_read(each) for each in said["found"]], ""
            asked = (said["distribution"], said["doing"])
        return asked, None, f"ended the process, with status {process.wait()}"
    except Empty:
        return asked, None, f"took more than {limit:g} seconds"
    finally:
        process.kill()
        process.wait()


def _pass_on(process: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put("")


def _read(plain: dict[str, Any]) -> Diagnosis:
    problems = tuple(Problem(*each) for each in plain["problems"])
    return Diagnosis(**plain | {"names": tuple(plain["names"]), "problems": problems})


def report(with_checks: bool) -> None:
    """Examine in this process, and write to ``stdout`` what is asked for and what is found."""
    # What a plugin writes to stdout goes to stderr.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write(**said: Any) -> None:
        channel.write(json.dumps(said) + "\n")
        channel.flush()

    def listen(distribution: str, doing: str) -> None:
        write(distribution=distribution, doing=doing)

    watching.listeners.append(listen)
    watching.PATIENCE = threading.TIMEOUT_MAX
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        found = diagnose()
        if with_checks:
            for number, plugin in enumerate(manager.plugins):
                problems = tuple(_failures(plugin))
                found[number] = replace(
                    found[number], problems=(*found[number].problems, *problems)
                )
    found.append(_engine())
    write(found=[asdict(each) for each in found])
    # Threads of plugins keep nothing waiting.
    channel.close()
    os._exit(0)


def _failures(plugin: Plugin) -> Iterator[Problem]:
    """What checks say of what a plugin names."""
    for entry in plugin.entries:
        if entry.kind not in CHECKED:
            continue

        def begins(check: str, name: str = entry.name) -> None:
            for listener in watching.listeners:
                listener(plugin.distribution, f"{check} of {name!r}")

        for result in results_of(entry, begins):
            if result.status == "failed":
                seen = " ".join(result.message.split())
                yield Problem(
                    f"Its {entry.kind} {entry.name!r} fails {result.check}: {seen}",
                    f"`skopt-dl plugins check {entry.qualified}` makes the checks again.",
                )


def _engine() -> Diagnosis:
    """What trains here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        try:
            engine = chosen_engine()
        except Exception as error:
            return Diagnosis("engine", "", "none", (), (Problem(str(error), ""),))
    name = " ".join([engine.name, engine.edition]).strip()
    return Diagnosis("engine", "", name, (), tuple(Problem(str(w.message), "") for w in caught))
