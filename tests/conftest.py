import signal
import sys

import pytest
from process_state import differences, process_state
from threadpoolctl import ThreadpoolController


def pytest_collection_modifyitems(items):
    """The longest come first: one worker would be busy with them in the end, and the other idle."""
    longest = ["violence", "claims", "check_optimizer", "docs", "processes", "page_in_browser"]
    longest += ["stack", "saved_models", "cluster", "sanitizers"]
    places = {f"test_{name}.py": place for place, name in enumerate(longest)}
    items.sort(key=lambda item: places.get(item.path.name, len(longest)))


@pytest.fixture(autouse=True, scope="session")
def interrupts_interrupt():
    """Where tests run in the background of a shell, Python starts with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def thread_pools():
    """The libraries with threads of their own that are loaded by now."""
    return ThreadpoolController()


@pytest.fixture
def numpy_engine(monkeypatch):
    """For what is true of NumPy's engine only, whatever the other tests run on."""
    monkeypatch.setenv("SKOPT_DL_ENGINE", "numpy")


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Matplotlib keeps those that nobody closes, and warns where there are many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def process_is_left_as_it_was(thread_pools):
    """Name the test that changes the process for those after it."""
    before = process_state(thread_pools)
    yield
    left = differences(before, process_state(thread_pools))
    assert not left, "This test left behind " + "; ".join(left)
