"""A world for the scheduler of a search: tasks, trainers and processes that do as chance will."""

from skopt_dl.search import scheduler as decided
from skopt_dl.search.scheduler import Scheduler, State


class World:
    """Carries out instructions in any order; `choose(options)` says what happens next.

    A task here submits, trains, waits for tasks of its own, blocks until another is over, or ends.
    """

    def __init__(self, choose, **limits):
        self.choose = choose
        self.scheduler = Scheduler(**limits)
        self.n_submitted = self.n_events = 0
        self.running, self.awaited, self.blocked = set(), {}, {}
        self.grouping, self.training, self.lots, self.answered = [], [], {}, {}
        self.starting_processes, self.aborted, self.held = False, False, False
        self.begun, self.over = set(), set()
        self.children = {}

    def happens(self, event):
        self.n_events += 1
        instructions = self.scheduler.handle(event)
        self.scheduler.check()
        for each in instructions:
            getattr(self, f"do_{type(each).__name__.lower()}")(*each)

    # What the scheduler says

    def do_start(self, task):
        assert not self.aborted
        self.begun.add(task)
        self.running.add(task)

    def do_resume(self, task):
        assert task not in self.running
        self.running.add(task)

    def do_group(self, tasks):
        assert tasks
        self.grouping.append(tasks)

    def do_train(self, tasks):
        self.training.append(tasks)

    def do_startprocesses(self):
        assert not self.starting_processes
        self.starting_processes = True

    def do_send(self, lot, tasks):
        assert tasks
        self.lots[lot] = tasks

    def do_giveup(self, tasks):
        for task in tasks:
            self.is_over(task)

    # What chance does

    def submit(self, parent=None):
        self.n_submitted += 1
        task = self.n_submitted
        if parent is not None:
            self.children.setdefault(parent, set()).add(task)
        self.happens(decided.Submitted(task))
        return task

    def is_over(self, task):
        assert task not in self.over
        self.over.add(task)
        for parent, waits_for in list(self.awaited.items()):
            waits_for.discard(task)
            if not waits_for:
                del self.awaited[parent]
                self.happens(decided.GoesOn(parent))
        for other, waits_for in list(self.blocked.items()):
            if waits_for == task:
                del self.blocked[other]

    def options(self):
        """What may happen next: to whom, by what happens."""
        free = sorted(self.running - self.blocked.keys())
        found = {
            "submit": [None],
            "train": free,
            "end": free,
            "await": free,
            "block": free[:1],
            "group": range(len(self.grouping)),
            "trained": range(len(self.training)),
            "answer": sorted(self.lots),
            "lose": sorted(self.lots)[:1],
            "settle": sorted(self.answered),
            "tick": [True, True, False],
            "hold": [None],
            "processes": [True, True, False] if self.starting_processes else [],
        }
        return {what: whom for what, whom in found.items() if whom}

    def step(self):
        options = self.options()
        what = self.choose(list(options))
        if what in ("block", "lose", "hold") and self.choose([True] * 9 + [False]):
            # More would only keep all from going on.
            return
        getattr(self, f"let_{what}")(self.choose(list(options[what])))

    def let_submit(self, _):
        self.submit()

    def let_train(self, task):
        self.running.remove(task)
        size = self.choose([1, 10, 1 << 29, 1 << 40])
        self.happens(decided.Arrived(task, size, self.choose([True, True, True, False])))

    def let_end(self, task):
        # Whoever hears of the end may submit the next.
        if self.choose([True, False]):
            self.submit()
        self.running.remove(task)
        self.happens(decided.Ended(task))
        self.is_over(task)

    def let_await(self, task):
        children = {self.submit(task) for _ in range(self.choose([1, 2, 5]))} - self.over
        if not children:
            return
        self.running.remove(task)
        self.awaited[task] = children
        self.happens(decided.Awaits(task))

    def let_block(self, task):
        # For one that has begun, and not in a circle: else nobody could help.
        other = self.choose(sorted(self.begun - self.over) or [task])
        if self.depends(other, task):
            return
        self.blocked[task] = other

    def depends(self, task, other):
        """Whether `task` cannot end before `other` has."""
        if task == other:
            return True
        found = self.awaited.get(task, set()) | {self.blocked.get(task)} - {None}
        return any(self.depends(each, other) for each in found)

    def let_group(self, i):
        tasks = self.grouping.pop(i)
        if self.choose([True] * 9 + [False]):
            size = self.choose([1, 2, 5, 64])
            stacks = [tasks[k : k + size] for k in range(0, len(tasks), size)]
            large = self.choose([True, False])
            self.happens(decided.Grouped([(stack, large) for stack in stacks]))
        else:
            self.happens(decided.Trained(tasks))

    def let_trained(self, i):
        self.happens(decided.Trained(self.training.pop(i)))

    def let_answer(self, lot):
        self.answered[lot] = self.lots.pop(lot)
        self.happens(decided.Answered(lot))

    def let_lose(self, lot):
        tasks = self.lots.pop(lot)
        self.happens(decided.Settled(lot, tasks))

    def let_settle(self, lot):
        tasks = self.answered.pop(lot)
        kept = [task for task in tasks if self.choose([True] * 9 + [False])]
        for task in kept:
            self.is_over(task)
            if self.choose([True, False]):
                self.submit()
        self.happens(decided.Settled(lot, [task for task in tasks if task not in kept]))

    def let_tick(self, idle):
        self.happens(decided.Tick(idle))

    def let_hold(self, _):
        self.happens(decided.Released() if self.held else decided.Held())
        self.held = not self.held

    def let_processes(self, there):
        self.starting_processes = False
        self.happens(decided.ProcessesReady() if there else decided.ProcessesLost())

    def let_abort(self, _=None):
        self.aborted = True
        self.happens(decided.Aborted())

    # The end

    def finish(self):
        """Let everything go on that can, and nothing new come; fail where something is stuck."""
        if self.held:
            self.let_hold(None)
        for _ in range(100 * (self.n_submitted + 10)):
            if self.scheduler.at_rest:
                break
            free = sorted(self.running - self.blocked.keys())
            if self.answered:
                lot = min(self.answered)
                for task in self.answered[lot]:
                    self.is_over(task)
                del self.answered[lot]
                self.happens(decided.Settled(lot))
            elif self.lots:
                self.let_answer(min(self.lots))
            elif free:
                task = free[0]
                self.running.remove(task)
                self.happens(decided.Ended(task))
                self.is_over(task)
            elif self.grouping:
                tasks = self.grouping.pop()
                self.happens(decided.Grouped([(tasks, False)]))
            elif self.training:
                self.let_trained(0)
            else:
                self.let_tick(True)
        assert self.scheduler.at_rest, f"stuck: {self.scheduler}"[:600]
        assert self.over == set(range(1, self.n_submitted + 1))
        assert State.RUNNING not in self.scheduler._states.values()
