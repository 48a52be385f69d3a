"""Decides what a stacked search does next.

A task runs until it has something to train, and waits. When nobody is left who could bring more,
all that waits is grouped into stacks and trained; then the tasks go on. In a search that takes
long, tasks that nobody has begun go to other processes, many at once.

Nothing here knows of threads, clocks, arrays or what a task does: events come in, instructions go
out, and others carry them out. So the same events always make the same decisions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

# Bytes of samples that tasks may hold, all together, where there are more than one for each core.
MEMORY = 1 << 30
# Ticks without any news after which what waits is trained, whatever the others do: a task may take
# long over something else, or wait for one that waits.
PATIENCE = 4
# Ticks after which a search is worth starting processes for, which takes about as long.
START = 2
# Tasks that are worth a process of their own: fewer models hardly gain by being a stack.
SHARE = 4


class State(Enum):
    """Where a task stands."""

    QUEUED = auto()  # nobody has begun it
    RUNNING = auto()  # computes, on one of the cores
    AWAITING = auto()  # waits for tasks of its own, and has left its room to them
    WAITING = auto()  # has something to train
    TRAINING = auto()  # is trained
    READY = auto()  # would go on if there were a core
    AWAY = auto()  # runs in another process


# Where a task may come from.
_FROM: dict[State, tuple[State | None, ...]] = {
    State.QUEUED: (None, State.AWAY),
    State.RUNNING: (State.QUEUED, State.READY),
    State.AWAITING: (State.RUNNING,),
    State.WAITING: (State.RUNNING,),
    State.TRAINING: (State.WAITING,),
    State.READY: (State.TRAINING, State.WAITING, State.AWAITING),
    State.AWAY: (State.QUEUED,),
}


class Mode(Enum):
    """Where new tasks go."""

    PROBING = auto()  # as many as there are cores run here, and show what tasks are like
    HERE = auto()  # into this process, as many as may be under way
    SHARED = auto()  # into this process, until the others are there
    AWAY = auto()  # to other processes
    ENDED = auto()  # nowhere: the search was ended


# What happens. Tasks, and lots of them, have numbers.


class Submitted(NamedTuple):
    """There is a new task."""

    task: int


class Held(NamedTuple):
    """Somebody is about to submit tasks: nothing is to be trained early."""


class Released(NamedTuple):
    """Somebody no longer is."""


class Arrived(NamedTuple):
    """A running task has something to train, and waits.

    Attributes
    ----------
    task : int
    size : int
        What it holds, in bytes.
    may_leave : bool
        Whether a task like this one could run in another process.
    """

    task: int
    size: int
    may_leave: bool


class Grouped(NamedTuple):
    """What was to be trained has been sorted into stacks: tasks of each, and whether it is large.

    A large stack leaves the interpreter free for another.
    """

    stacks: Sequence[tuple[tuple[int, ...], bool]]


class Trained(NamedTuple):
    """A stack is trained, or has failed; grouped or not."""

    tasks: tuple[int, ...]


class Ended(NamedTuple):
    """A running task is over."""

    task: int


class Awaits(NamedTuple):
    """A running task waits for tasks of its own."""

    task: int


class GoesOn(NamedTuple):
    """What a task has waited for is there: it may go on as soon as there is a core."""

    task: int


class ProcessesReady(NamedTuple):
    """Other processes are there."""


class ProcessesLost(NamedTuple):
    """They are not, or no longer."""


class Answered(NamedTuple):
    """A lot is back; its results are about to be told, upon which tasks may be submitted."""

    lot: int


class Settled(NamedTuple):
    """All results of a lot were told; those tasks have to run here after all."""

    lot: int
    staying: Sequence[int] = ()


class Aborted(NamedTuple):
    """The search is to end: a task has failed, or the user has interrupted."""


class Tick(NamedTuple):
    """Some time has gone by, in which this process did next to nothing, or kept the cores busy."""

    idle: bool = False
    busy: bool = False


Event = (
    Submitted
    | Held
    | Released
    | Arrived
    | Grouped
    | Trained
    | Ended
    | Awaits
    | GoesOn
    | ProcessesReady
    | ProcessesLost
    | Answered
    | Settled
    | Aborted
    | Tick
)


# What is to be done.


class Start(NamedTuple):
    """Begin a task."""

    task: int


class Resume(NamedTuple):
    """Let a task go on."""

    task: int


class Group(NamedTuple):
    """Sort what these tasks have to train into stacks."""

    tasks: tuple[int, ...]


class Train(NamedTuple):
    """Train a stack."""

    tasks: tuple[int, ...]


class StartProcesses(NamedTuple):
    """Have other processes start."""


class Send(NamedTuple):
    """Give tasks to another process."""

    lot: int
    tasks: tuple[int, ...]


class GiveUp(NamedTuple):
    """Tasks that nobody has begun are not to be."""

    tasks: tuple[int, ...]


Instruction = Start | Resume | Group | Train | StartProcesses | Send | GiveUp


@dataclass
class _Lot:
    """Tasks that went to another process together."""

    tasks: tuple[int, ...]
    is_back: bool = False


@dataclass
class Scheduler:
    """Decides for one search.

    Parameters
    ----------
    n_tasks : int
        How many tasks may be under way in this process at once: the most models that wait together.
    n_cores : int
        How many tasks compute, and large stacks train, at the same time.
    n_processes : int, default=0
        How many other processes there may be.
    n_remote : int, default=0
        How many stacks a cluster trains at the same time; 0 where there is none.
    memory : int
        Bytes of samples that tasks may hold, all together, where there are more than one a core.

    Attributes
    ----------
    mode : Mode
    """

    n_tasks: int
    n_cores: int
    n_processes: int = 0
    n_remote: int = 0
    memory: int = MEMORY
    mode: Mode = Mode.PROBING
    _states: dict[int, State] = field(default_factory=dict)
    _count: Counter[State] = field(default_factory=Counter)
    # Tasks by state, in the order in which their turn comes.
    _queue: deque[int] = field(default_factory=deque)
    _ready: deque[int] = field(default_factory=deque)
    _waiting: list[int] = field(default_factory=list)
    # The most that may be under way here, as far as is known.
    _room: int = 0
    # What the tasks that wait hold at most, and whether all of them could run elsewhere.
    _size: int = 1
    _may_leave: bool = True
    _holders: int = 0
    # Cores that were lent to tasks because others block theirs.
    _lent: int = 0
    # Stacks that nobody trains yet, and those in training; with whether they are large.
    _stacks: deque[tuple[tuple[int, ...], bool]] = field(default_factory=deque)
    _in_training: dict[tuple[int, ...], bool] = field(default_factory=dict)
    _share: int = 0
    _lots: dict[int, _Lot] = field(default_factory=dict)
    _n_lots: int = 0
    _processes_are_ready: bool = False
    _processes_were_started: bool = False
    _n_ticks: int = 0
    _n_quiet: int = 0
    _n_idle: int = 0

    def __post_init__(self) -> None:
        self._room = min(self.n_cores, self.n_tasks)
        if self.n_tasks < 2 * SHARE or self.n_processes < 2:
            self.n_processes = 0

    def handle(self, event: Event) -> list[Instruction]:
        """Take notice of an event; return what is to be done, in any order."""
        out: list[Instruction] = []
        if not isinstance(event, Tick):
            self._n_quiet = self._n_idle = 0
        getattr(self, _HANDLERS[type(event)])(event, out)
        self._proceed(out)
        return out

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way, here or elsewhere."""
        return not (self._states or self._lots or self._holders)

    @property
    def n_away(self) -> int:
        """Lots that other processes have."""
        return sum(not lot.is_back for lot in self._lots.values())

    # Events

    def _on_submitted(self, event: Submitted, out: list[Instruction]) -> None:
        self._become(event.task, State.QUEUED)
        self._queue.append(event.task)

    def _on_held(self, event: Held, out: list[Instruction]) -> None:
        self._holders += 1

    def _on_released(self, event: Released, out: list[Instruction]) -> None:
        self._holders -= 1

    def _on_arrived(self, event: Arrived, out: list[Instruction]) -> None:
        self._leave_core()
        self._become(event.task, State.WAITING)
        if not self._waiting:
            self._size, self._may_leave = 1, True
        self._size = max(self._size, event.size)
        self._may_leave = self._may_leave and event.may_leave
        self._waiting.append(event.task)

    def _on_grouped(self, event: Grouped, out: list[Instruction]) -> None:
        self._stacks.extend((tuple(tasks), large) for tasks, large in event.stacks)

    def _on_trained(self, event: Trained, out: list[Instruction]) -> None:
        self._in_training.pop(tuple(event.tasks), None)
        self._get_ready(event.tasks)

    def _on_ended(self, event: Ended, out: list[Instruction]) -> None:
        self._leave_core()
        self._forget([event.task])

    def _on_awaits(self, event: Awaits, out: list[Instruction]) -> None:
        self._leave_core()
        self._become(event.task, State.AWAITING)

    def _on_goes_on(self, event: GoesOn, out: list[Instruction]) -> None:
        self._get_ready([event.task])

    def _on_processes_ready(self, event: ProcessesReady, out: list[Instruction]) -> None:
        self._processes_are_ready = True
        if self.mode is Mode.SHARED:
            self.mode = Mode.AWAY

    def _on_processes_lost(self, event: ProcessesLost, out: list[Instruction]) -> None:
        self._processes_are_ready, self.n_processes = False, 0
        self._stay_here()

    def _on_answered(self, event: Answered, out: list[Instruction]) -> None:
        self._lots[event.lot].is_back = True

    def _on_settled(self, event: Settled, out: list[Instruction]) -> None:
        staying = list(event.staying)
        tasks = self._lots.pop(event.lot).tasks
        self._forget([task for task in tasks if task not in staying])
        for task in reversed(staying):
            self._become(task, State.QUEUED)
            self._queue.appendleft(task)
        if staying:
            # They are not what the first tasks promised; so others may not be either.
            self._stay_here()

    def _on_aborted(self, event: Aborted, out: list[Instruction]) -> None:
        self.mode = Mode.ENDED

    def _on_tick(self, event: Tick, out: list[Instruction]) -> None:
        self._n_ticks += 1
        self._n_quiet += 1
        self._n_idle = self._n_idle + 1 if event.idle else 0
        worth_it = self.mode is Mode.SHARED and self._queue and self._n_ticks >= START
        # Where threads leave no core idle, processes could do no more.
        if worth_it and not event.busy and not self._processes_were_started:
            self._processes_were_started = True
            out.append(StartProcesses())
        if self._n_quiet < PATIENCE or self._count[State.TRAINING]:
            return
        if self._waiting:
            self._group(out)
            self._n_quiet = 0
        elif self._n_idle >= PATIENCE and self._somebody_blocks:
            self._lent += 1
            self._n_quiet = self._n_idle = 0

    @property
    def _somebody_blocks(self) -> bool:
        """Whether tasks that do nothing keep others from the cores, or from coming in."""
        # Tasks that wait for their own have left their room to others, which may wait for them.
        n_tasks = self.n_tasks + self._count[State.AWAITING]
        more = self._queue and self.mode is not Mode.AWAY and self._n_under_way < n_tasks
        return bool(self._count[State.RUNNING] and (self._ready or more))

    # Decisions

    def _proceed(self, out: list[Instruction]) -> None:
        """Do what has become possible."""
        if self.mode is Mode.ENDED:
            self._give_up(out)
        elif self.mode is Mode.AWAY:
            self._send(out)
        while self._ready and self._has_core:
            task = self._ready.popleft()
            self._become(task, State.RUNNING)
            out.append(Resume(task))
        self._begin(out)
        if self._waiting and not self._may_bring_more and self._widen():
            self._proceed(out)
            return
        if self._waiting and not self._may_bring_more:
            self._group(out)
        while self._stacks and self._may_train(self._stacks[0][1]):
            tasks, large = self._stacks.popleft()
            self._in_training[tasks] = large
            out.append(Train(tasks))

    def _begin(self, out: list[Instruction]) -> None:
        while self._has_room and self._has_core:
            task = self._queue.popleft()
            self._become(task, State.RUNNING)
            out.append(Start(task))

    @property
    def _n_under_way(self) -> int:
        states = State.RUNNING, State.WAITING, State.TRAINING, State.READY
        return sum(self._count[state] for state in states)

    @property
    def _has_core(self) -> bool:
        return self._count[State.RUNNING] < self.n_cores + self._lent

    @property
    def _has_room(self) -> bool:
        """Whether a task that nobody has begun may begin here."""
        if not self._queue or self.mode in (Mode.AWAY, Mode.ENDED):
            return False
        room = min(self._room, self._share) if self.mode is Mode.SHARED else self._room
        return self._n_under_way < room + self._lent

    @property
    def _may_bring_more(self) -> bool:
        """Whether anybody could still bring something to train."""
        settling = any(lot.is_back for lot in self._lots.values())
        busy = self._count[State.RUNNING] or self._ready or self._holders
        return bool(busy or settling or self._has_room)

    def _may_train(self, large: bool) -> bool:
        """Whether a stack may be trained beside those that are."""
        if self.n_remote:
            return len(self._in_training) < self.n_remote
        # Small stacks would only take turns with the interpreter; so would all, where other
        # processes work on the same cores.
        n_small = sum(not other for other in self._in_training.values())
        if large and not self._lots:
            return len(self._in_training) < self.n_cores
        return not (self._in_training if self._lots else n_small)

    def _group(self, out: list[Instruction]) -> None:
        tasks = tuple(self._waiting)
        self._waiting.clear()
        for task in tasks:
            self._become(task, State.TRAINING)
        out.append(Group(tasks))

    def _widen(self) -> bool:
        """Let more tasks in, now that it is known how much each holds; false where none come."""
        if not self._queue or self.mode in (Mode.AWAY, Mode.ENDED):
            return False
        room = min(self.n_tasks, max(self.n_cores, self.memory // self._size))
        if self.mode is Mode.PROBING:
            worth_it = self.n_processes and len(self._queue) >= SHARE
            suits = worth_it and room == self.n_tasks and self._may_leave
            self.mode = Mode.SHARED if suits else Mode.HERE
        if self.mode is Mode.SHARED and not self._share:
            n_known = min(self.n_tasks, len(self._queue) + self._n_under_way)
            self._share = max(SHARE, -(-n_known // self.n_processes))
        if self.mode is Mode.SHARED and self._processes_are_ready:
            self.mode = Mode.AWAY
            return True
        self._room = max(self._room, room)
        return self._has_room

    def _send(self, out: list[Instruction]) -> None:
        """Give tasks that nobody has begun to processes that are free."""
        settling = any(lot.is_back for lot in self._lots.values())
        # One lot more than there are processes, so that none waits for its next.
        while self._queue and self.n_away <= self.n_processes:
            if settling and len(self._queue) < self._share:
                # Whoever hears of results submits more tasks, one by one.
                return
            # Fewer when few are left, so that all processes end at about the same time.
            n_fair = -(-len(self._queue) // self.n_processes)
            number = min(self._share, max(SHARE, n_fair), len(self._queue))
            tasks = tuple(self._queue.popleft() for _ in range(number))
            for task in tasks:
                self._become(task, State.AWAY)
            self._n_lots += 1
            self._lots[self._n_lots] = _Lot(tasks)
            out.append(Send(self._n_lots, tasks))

    def _stay_here(self) -> None:
        """Leave all tasks that nobody has begun to this process."""
        if self.mode in (Mode.SHARED, Mode.AWAY):
            self.mode = Mode.HERE

    def _give_up(self, out: list[Instruction]) -> None:
        """What nobody has begun is not begun; what waits goes on, to hear of the end."""
        if self._queue:
            out.append(GiveUp(tuple(self._queue)))
            self._forget(self._queue)
            self._queue.clear()
        self._get_ready(self._waiting)
        self._waiting.clear()

    # States

    def _become(self, task: int, state: State) -> None:
        before = self._states.get(task)
        assert before in _FROM[state], f"task {task} cannot become {state} from {before}"
        if before is not None:
            self._count[before] -= 1
        self._states[task] = state
        self._count[state] += 1

    def _forget(self, tasks: Sequence[int] | deque[int]) -> None:
        for task in tasks:
            self._count[self._states.pop(task)] -= 1

    def _get_ready(self, tasks: Sequence[int]) -> None:
        for task in tasks:
            self._become(task, State.READY)
            self._ready.append(task)

    def _leave_core(self) -> None:
        """A core that was lent is not left to the next: its own is free again."""
        self._lent = max(0, self._lent - 1)

    def check(self) -> None:
        """Check what holds after every event.

        Raises
        ------
        AssertionError
            If a task is lost or in two places, a limit is exceeded, or something could be done that
            was not.
        """
        by_state: dict[State, set[int]] = {state: set() for state in State}
        for task, state in self._states.items():
            by_state[state].add(task)
        assert {state: len(tasks) for state, tasks in by_state.items()} == {
            state: self._count[state] for state in State
        }
        assert len(self._queue) == len(set(self._queue))
        assert set(self._queue) == by_state[State.QUEUED]
        assert len(self._ready) == len(set(self._ready))
        assert set(self._ready) == by_state[State.READY]
        assert len(self._waiting) == len(set(self._waiting))
        assert set(self._waiting) == by_state[State.WAITING]
        assert {task for lot in self._lots.values() for task in lot.tasks} == by_state[State.AWAY]
        stacked = [task for tasks, _ in self._stacks for task in tasks]
        stacked += [task for tasks in self._in_training for task in tasks]
        assert len(stacked) == len(set(stacked))
        assert set(stacked) <= by_state[State.TRAINING]
        assert self._count[State.RUNNING] <= self.n_cores + self._lent
        assert self.n_away <= self.n_processes + 1 or self.mode is not Mode.AWAY
        assert self._holders >= 0
        # Nobody who could go on is kept waiting.
        assert not (self._ready and self._has_core)
        assert not (self._has_room and self._has_core)
        assert not (self._waiting and not self._may_bring_more)
        assert not (self._stacks and not self._in_training)
        if self.mode is Mode.ENDED:
            assert not self._queue
            assert not self._waiting
        idle = not self._count[State.RUNNING] and not self._ready and not self._waiting
        if self._queue and idle and not self._count[State.TRAINING]:
            # What nobody begins here is begun elsewhere.
            assert self._lots


_HANDLERS = {
    Submitted: "_on_submitted",
    Held: "_on_held",
    Released: "_on_released",
    Arrived: "_on_arrived",
    Grouped: "_on_grouped",
    Trained: "_on_trained",
    Ended: "_on_ended",
    Awaits: "_on_awaits",
    GoesOn: "_on_goes_on",
    ProcessesReady: "_on_processes_ready",
    ProcessesLost: "_on_processes_lost",
    Answered: "_on_answered",
    Settled: "_on_settled",
    Aborted: "_on_aborted",
    Tick: "_on_tick",
}
