import time
from types import SimpleNamespace

import joblib
import pytest


@pytest.fixture
def results_are_looked_for_often(monkeypatch):
    """Joblib looks for them every 10 ms, and the smallest searches take less.

    Not where the scheduler has to find that all wait: those who look are busy.
    """
    often = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(seconds / 20)})
    monkeypatch.setattr(joblib.parallel, "time", often)
