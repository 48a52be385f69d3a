import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def interrupts_interrupt():
    """Where tests run in the background of a shell, Python starts with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
