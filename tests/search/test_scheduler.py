"""The scheduler of a search, without threads or clocks: events in, instructions out."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from scheduling import World

from skopt_dl.search.scheduler import (
    PATIENCE,
    SHARE,
    START,
    Aborted,
    Answered,
    Arrived,
    Awaits,
    Ended,
    GiveUp,
    GoesOn,
    Group,
    Grouped,
    Held,
    Mode,
    ProcessesLost,
    ProcessesReady,
    Released,
    Resume,
    Scheduler,
    Send,
    Settled,
    Start,
    StartProcesses,
    Submitted,
    Tick,
    Train,
    Trained,
)

LIMITS = {
    "one core": {"n_tasks": 8, "n_cores": 1},
    "two cores": {"n_tasks": 64, "n_cores": 2},
    "one task": {"n_tasks": 1, "n_cores": 4},
    "processes": {"n_tasks": 32, "n_cores": 2, "n_processes": 2},
    "many processes": {"n_tasks": 200, "n_cores": 8, "n_processes": 8},
    "a cluster": {"n_tasks": 32, "n_cores": 2, "n_remote": 3},
}


class AnyEvents(RuleBasedStateMachine):
    """Whatever happens, in any order: nothing is lost, nothing waits that could go on."""

    def __init__(self):
        super().__init__()
        self.world = None
        self.draw = None

    @precondition(lambda self: self.world is None)
    @rule(limits=st.sampled_from(list(LIMITS.values())))
    def begin(self, limits):
        self.world = World(lambda options: self.draw(st.sampled_from(options)), **limits)

    @precondition(lambda self: self.world is not None)
    @rule(data=st.data())
    def something_happens(self, data):
        self.draw = data.draw
        self.world.step()

    @precondition(lambda self: self.world is not None and not self.world.aborted)
    @rule(rarely=st.integers(0, 30))
    def the_search_is_ended(self, rarely):
        if not rarely:
            self.world.let_abort()

    @invariant()
    def all_is_well(self):
        if self.world is not None:
            self.world.scheduler.check()

    def teardown(self):
        if self.world is not None:
            self.world.finish()


AnyEvents.TestCase.settings = settings(
    max_examples=40, stateful_step_count=60, deadline=None, derandomize=True
)
TestAnyEvents = AnyEvents.TestCase


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_random_events_leave_nothing_behind(limits, seed):
    rng = random.Random(seed)
    world = World(rng.choice, **limits)
    while world.n_events < 1000:
        world.step()
        if not world.aborted and rng.random() < 1e-3:
            world.let_abort()
    world.finish()


def replay(scheduler, *events):
    """Everything that is to be done after each of these events."""
    found = []
    for event in events:
        found.append(scheduler.handle(event))
        scheduler.check()
    return found


def submitted(scheduler, number):
    return [each for task in range(1, number + 1) for each in scheduler.handle(Submitted(task))]


def test_as_many_tasks_begin_as_there_are_cores_and_show_what_they_hold():
    scheduler = Scheduler(n_tasks=64, n_cores=2)
    assert submitted(scheduler, 10) == [Start(1), Start(2)]
    assert scheduler.mode is Mode.PROBING
    first, second = replay(scheduler, Arrived(1, 100, True), Arrived(2, 100, True))
    assert first == []
    assert second == [Start(3), Start(4)]
    assert scheduler.mode is Mode.HERE


def test_nothing_is_trained_before_all_that_may_come_in_wait():
    scheduler = Scheduler(n_tasks=64, n_cores=1)
    submitted(scheduler, 3)
    *_, last = replay(scheduler, *(Arrived(task, 100, True) for task in (1, 2, 3)))
    assert last == [Group((1, 2, 3))]


def test_whoever_submits_holds_trainings_back():
    scheduler = Scheduler(n_tasks=64, n_cores=1)
    found = replay(scheduler, Held(), Submitted(1), Arrived(1, 1, True), Released())
    assert found == [[], [Start(1)], [], [Group((1,))]]


def test_samples_that_would_fill_the_memory_come_in_few_at_a_time():
    scheduler = Scheduler(n_tasks=64, n_cores=1, memory=1000)
    submitted(scheduler, 20)
    events = [Arrived(task, 300, True) for task in (1, 2, 3)]
    assert replay(scheduler, *events) == [[Start(2)], [Start(3)], [Group((1, 2, 3))]]


def test_cores_go_to_tasks_that_are_trained_before_new_ones_begin():
    scheduler = Scheduler(n_tasks=2, n_cores=1)
    submitted(scheduler, 4)
    replay(scheduler, Arrived(1, 1, True), Arrived(2, 1, True), Grouped([((1, 2), False)]))
    found = replay(scheduler, Trained((1, 2)), Ended(1), Ended(2))
    assert found == [[Resume(1)], [Resume(2)], [Start(3)]]


def test_small_stacks_train_in_turn_and_large_ones_side_by_side():
    scheduler = Scheduler(n_tasks=64, n_cores=2)
    submitted(scheduler, 4)
    replay(scheduler, *(Arrived(task, 1, True) for task in (1, 2, 3, 4)))
    small = scheduler.handle(Grouped([((1,), False), ((2,), False), ((3,), True), ((4,), True)]))
    assert small == [Train((1,))]
    assert Train((2,)) in scheduler.handle(Trained((1,)))
    assert Train((4,)) in scheduler.handle(Trained((2,))) + scheduler.handle(Trained((3,)))


def test_task_that_waits_for_its_own_leaves_its_room_to_them():
    scheduler = Scheduler(n_tasks=1, n_cores=1)
    found = replay(scheduler, Submitted(1), Submitted(2), Awaits(1), Ended(2), GoesOn(1), Ended(1))
    assert found == [[Start(1)], [], [Start(2)], [], [Resume(1)], []]
    assert scheduler.at_rest


def test_task_that_blocks_is_not_waited_for_for_ever():
    # The first is trained though the second, which waits for it, runs; then it gets a core.
    scheduler = Scheduler(n_tasks=2, n_cores=1)
    submitted(scheduler, 2)
    scheduler.handle(Arrived(1, 1, True))
    ticks = [scheduler.handle(Tick(idle=True)) for _ in range(PATIENCE)]
    assert ticks == [*[[]] * (PATIENCE - 1), [Group((1,))]]
    replay(scheduler, Grouped([((1,), False)]))
    assert scheduler.handle(Trained((1,))) == []
    ticks = [scheduler.handle(Tick(idle=True)) for _ in range(PATIENCE)]
    assert ticks == [*[[]] * (PATIENCE - 1), [Resume(1)]]


def test_busy_tasks_keep_their_cores_however_long_they_take():
    scheduler = Scheduler(n_tasks=64, n_cores=1)
    submitted(scheduler, 2)
    assert not any(scheduler.handle(Tick(idle=False)) for _ in range(100))


def test_task_that_waits_for_one_that_nobody_has_begun_lets_it_in():
    scheduler = Scheduler(n_tasks=64, n_cores=1)
    submitted(scheduler, 2)
    *_, last = [scheduler.handle(Tick(idle=True)) for _ in range(PATIENCE)]
    assert last == [Start(2)]


@pytest.fixture
def shared():
    """A search whose first two tasks have shown that others may run elsewhere."""
    scheduler = Scheduler(n_tasks=64, n_cores=2, n_processes=2)
    submitted(scheduler, 40)
    replay(scheduler, Arrived(1, 1, True), Arrived(2, 1, True))
    assert scheduler.mode is Mode.SHARED
    return scheduler


def test_long_search_starts_processes_once(shared):
    found = [each for _ in range(10 * START) for each in shared.handle(Tick())]
    assert found.count(StartProcesses()) == 1


def test_no_processes_are_started_while_threads_keep_the_cores_busy(shared):
    found = [each for _ in range(10 * START) for each in shared.handle(Tick(busy=True))]
    assert StartProcesses() not in found
    assert StartProcesses() in shared.handle(Tick())


def test_tasks_that_nobody_has_begun_go_away_in_shares(shared):
    found = shared.handle(ProcessesReady())
    assert shared.mode is Mode.AWAY
    # 36 are left of 40, in one lot more than there are processes.
    assert [len(each.tasks) for each in found] == [18, 9, 5]
    assert all(isinstance(each, Send) for each in found)
    # None of those under way here goes; none that is new begins here.
    assert shared.handle(Ended(3)) == []
    assert not any(isinstance(each, Start) for each in shared.handle(Submitted(41)))


def test_lots_shrink_towards_the_end_but_not_below_what_is_worth_it(shared):
    shared.handle(ProcessesReady())
    replay(shared, Answered(1), Settled(1))
    assert shared.n_away == 3
    shared.check()
    sizes = [len(lot.tasks) for lot in shared._lots.values()]
    assert min(sizes) >= SHARE or sum(sizes) < 36


def test_who_hears_of_results_submits_before_small_lots_are_sent(shared):
    shared.handle(ProcessesReady())
    replay(shared, Answered(1), Settled(1), Answered(2))
    assert not [each for each in shared.handle(Submitted(50)) if isinstance(each, Send)]
    assert [each.tasks for each in shared.handle(Settled(2))] == [(50,)]


def test_task_that_belongs_here_brings_all_others_back(shared):
    shared.handle(ProcessesReady())
    shared.handle(Answered(1))
    shared.handle(Settled(1, [7]))
    assert shared.mode is Mode.HERE
    # Two run here already; it is next.
    assert Start(7) in shared.handle(Ended(3))


def test_lost_processes_lose_no_task(shared):
    sent = [each for each in shared.handle(ProcessesReady()) if isinstance(each, Send)]
    for each in sent:
        shared.handle(Settled(each.lot, each.tasks))
        shared.check()
    assert shared.mode is Mode.HERE
    assert len(shared._queue) == 36


def test_processes_that_cannot_start_leave_tasks_here(shared):
    replay(shared, *[Tick()] * START, ProcessesLost())
    assert shared.mode is Mode.HERE


def test_tasks_that_may_not_leave_stay():
    scheduler = Scheduler(n_tasks=64, n_cores=2, n_processes=2)
    submitted(scheduler, 40)
    replay(scheduler, Arrived(1, 1, True), Arrived(2, 1, False))
    assert scheduler.mode is Mode.HERE


def test_few_tasks_are_not_worth_processes():
    scheduler = Scheduler(n_tasks=2 * SHARE - 1, n_cores=1, n_processes=2)
    submitted(scheduler, 5)
    replay(scheduler, Arrived(1, 1, True))
    assert scheduler.mode is Mode.HERE


def test_the_last_few_tasks_of_a_short_search_do_not_leave():
    scheduler = Scheduler(n_tasks=64, n_cores=2, n_processes=2)
    scheduler.handle(ProcessesReady())
    submitted(scheduler, 2 + SHARE - 1)
    found = replay(scheduler, Arrived(1, 1, True), Arrived(2, 1, True))
    assert found == [[], [Start(3), Start(4)]]
    assert scheduler.mode is Mode.HERE


def test_end_of_a_search_reaches_what_waits_and_what_nobody_has_begun():
    scheduler = Scheduler(n_tasks=3, n_cores=1)
    submitted(scheduler, 4)
    replay(scheduler, Arrived(1, 1, True), Arrived(2, 1, True))
    # The third runs; nobody has begun the fourth.
    scheduler.handle(Held())
    assert scheduler.handle(Aborted()) == [GiveUp((4,))]
    assert replay(scheduler, Ended(3), Ended(1), Ended(2)) == [[Resume(1)], [Resume(2)], []]
    assert scheduler.handle(Submitted(5)) == [GiveUp((5,))]
    scheduler.handle(Released())
    assert scheduler.at_rest


def test_tasks_of_tasks_end_with_a_search_that_is_ended():
    scheduler = Scheduler(n_tasks=1, n_cores=1)
    found = replay(scheduler, Submitted(1), Submitted(2), Submitted(3), Awaits(1), Aborted())
    assert found[-1] == [GiveUp((3,))]
    assert replay(scheduler, Ended(2), GoesOn(1)) == [[], [Resume(1)]]


def test_events_that_cannot_be_are_refused():
    scheduler = Scheduler(n_tasks=4, n_cores=1)
    submitted(scheduler, 2)
    with pytest.raises(AssertionError, match="task 2 cannot become"):
        scheduler.handle(Arrived(2, 1, True))


def test_broken_invariants_are_found():
    scheduler = Scheduler(n_tasks=4, n_cores=1)
    submitted(scheduler, 3)
    scheduler._queue.popleft()
    with pytest.raises(AssertionError):
        scheduler.check()
