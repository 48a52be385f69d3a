"""What an optimizer is: configuration, and a rule that returns a change."""

from __future__ import annotations

import copy
import inspect
import numbers
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from skopt_dl._params import POSITIVE, Configurable, InstanceOf
from skopt_dl.optimizers.formula import Formula
from skopt_dl.optimizers.spaces import Space
from skopt_dl.plugins import available, find
from skopt_dl.schedules import Schedule, as_schedule

Array = Any
Column = float | np.ndarray

# For any hyperparameter that may have a schedule of its own, beside what else it may be.
SCHEDULE = InstanceOf(Schedule, "a schedule from skopt_dl.schedules")
LEARNING_RATE = (POSITIVE, SCHEDULE, InstanceOf(str, "the name of one"))


# What a slot holds for each model: "params", "scalar", a shape, or a function of the layout.
Slot = str | tuple[int, ...] | Callable[[Any], Any]

_NAMED_SHAPES: Mapping[str, Callable[[Any], tuple[int, ...]]] = {
    "params": lambda layout: (layout.size,),
    "scalar": lambda layout: (1,),
}


# What `Step` carries for those that list it in ``needs``.
NEEDS = ("loss", "gradient", "noise", "epoch", "n_steps")


class Target(NamedTuple):
    """What an optimizer is known to reach, on a function that is completely known.

    Attributes
    ----------
    function : str
        A name of `skopt_dl.objectives.FUNCTIONS`, begun at its own starting point.
    loss : float
        How far above the function's minimum the value may be.
    n_steps : int
        The budget.
    params : dict
        Hyperparameters, where they are not those of the object that is checked.

    Examples
    --------
    >>> from skopt_dl.optimizers import SGD, Target
    >>> class Descent(SGD):
    ...     targets = (Target("booth", 1e-6, 500, {"learning_rate": 0.05}),)
    """

    function: str
    loss: float
    n_steps: int
    params: Mapping[str, Any] = MappingProxyType({})


class Step:
    """What an optimizer's ``update`` is told about the current step.

    Attributes
    ----------
    xp : namespace
        The array functions (NumPy, CuPy, …); all take ``out=``.
    number : int
        1 at the first update.
    learning_rate : float or array of shape (K, 1)
        The schedule's value.
    layout : Layout
        ``layout.tensors(array)`` gives a ``(K, n_in, n_out)`` view of each weight.
    coefficients : dict of str to float or array of shape (K, 1)
        What the optimizer's ``coefficients`` returned for this step.
    scratch : array of shape (K, P)
        An uninitialised work array.
    loss : array of shape (K,)
        The loss of this batch, where the optimizer lists ``"loss"`` in ``needs``.
    gradient : callable
        Where it lists ``"gradient"``: ``gradient(params)`` is that of this batch at other
        parameters, ``(K, P)``, with the same units dropped out, and statistics left as they are.
        Valid until the next call.
    noise : array of shape (K, P)
        Where it lists ``"noise"``: standard normal numbers, new in every step, from each model's
        own seed. Read-only.
    epoch, n_steps : array of shape (K, 1)
        Where it lists ``"epoch"`` or ``"n_steps"``: epochs done so far, and updates that the whole
        training will have when nothing stops it. Read-only.
    """

    __slots__ = (
        "coefficients",
        "epoch",
        "gradient",
        "layout",
        "learning_rate",
        "loss",
        "n_steps",
        "noise",
        "number",
        "scratch",
        "xp",
    )

    xp: Any
    number: int
    learning_rate: Any
    layout: Any
    coefficients: Mapping[str, Any]
    scratch: Array
    loss: Array
    gradient: Callable[[Array], Array] | None
    noise: Array
    epoch: Array
    n_steps: Array


class Optimizer(Configurable):
    """Base class: what to change, given the gradient.

    A subclass stores the arguments of its ``__init__`` verbatim, lists its state arrays in
    ``slots`` and implements `update`. The loop makes the state, applies the change and keeps
    count. Within a stack of models, ``update`` runs on a copy whose float hyperparameters are
    0-d arrays or ``(K, 1)`` columns, so it uses array expressions and never asks
    ``if self.beta > 0``. Flags, strings and integers are the same for all models of a call, and
    may be asked. A hyperparameter whose ``constraints`` allow a schedule may be one, and is then
    the schedule's value of the step.

    Attributes
    ----------
    slots : tuple of str, or mapping of str to str, tuple or callable
        Names of state arrays, zero at the start. They are ``(K, P)``, unless a mapping says what
        each holds: ``"params"``, the same; ``"scalar"``, ``(K, 1)``; a shape, ``(K, *shape)``; or a
        function that gets the layout and returns one of these.
    needs : tuple of str
        What else `Step` is to carry; ``"loss"``, ``"gradient"``, ``"noise"``, ``"epoch"`` and
        ``"n_steps"`` are known.
    stackable : bool
        Whether several models can share one ``update`` call.
    traceable : bool
        Whether ``update`` computes and nothing else. It is then called once, with arrays that
        record what is done to them, and what was recorded is run at each step. Code that asks
        for values is found out, and called at each step; one that counts or prints says False.
    full_batch : bool
        Whether the method runs a whole minimisation itself, over all the data: only those of
        `Minimizer` do.
    dtype : str or None
        The precision the method trains in, where it cannot be the data's.
    unused : dict of str to tuple
        Parameters of the estimator that the method has no use for, with the values that ask for
        nothing; any other is answered with a warning.
    targets : tuple of Target
        What it is known to reach; `skopt_dl.testing` sees that it does.
    search_space : dict of str to LogUniform, LogUniformBelowOne, Uniform or Choice
        Where to look for its hyperparameters, for `skopt_dl.search_space`. Without one, that looks
        around the default rate.

    See Also
    --------
    skopt_dl.testing.check_optimizer : Checks an implementation against these rules.

    Examples
    --------
    >>> from skopt_dl.optimizers import Optimizer
    >>> class SignDescent(Optimizer):
    ...     def __init__(self, learning_rate=0.01):
    ...         self.learning_rate = learning_rate
    ...
    ...     def update(self, grad, state, params, step):
    ...         return -step.learning_rate * step.xp.sign(grad)
    """

    slots: ClassVar[tuple[str, ...] | Mapping[str, Slot]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    stackable: ClassVar[bool] = True
    traceable: ClassVar[bool] = True
    full_batch: ClassVar[Literal[False]] = False
    dtype: ClassVar[str | None] = None
    unused: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    targets: ClassVar[tuple[Target, ...]] = ()
    search_space: ClassVar[Mapping[str, Space]] = {}
    learning_rate: float | str | Schedule

    @property
    def learning_rate_schedule(self) -> Schedule:
        """The learning rate as a schedule: made by name, constant, or the object itself.

        A name means that schedule around the rate that the class has by default.

        Raises
        ------
        ValueError
            If there is no schedule of that name; the message gives the nearest match.
        """
        given = self.learning_rate
        if not isinstance(given, str):
            return as_schedule(given)
        name = type(self).__name__
        try:
            cls = find("schedule", given)
        except ValueError as error:
            raise ValueError(
                f"learning_rate of {name} must be a number, a schedule, or the name of one; got "
                f"{given!r}. {error}"
            ) from None
        default = inspect.signature(type(self)).parameters["learning_rate"].default
        if not isinstance(default, numbers.Real):
            raise ValueError(
                f"learning_rate={given!r} of {name} names a schedule, and {name} has no rate of "
                f"its own to put into it: pass an object, {cls.__name__}(...)."
            )
        return cls.around(float(default))

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``learning_rate__x`` sets parameter ``x`` of the schedule.

        Where `learning_rate` is the name of a schedule, the schedule is created first.
        """
        nested = [key for key in params if key.startswith("learning_rate__")]
        rate = params.get("learning_rate", getattr(self, "learning_rate", None))
        if nested and isinstance(rate, numbers.Real):
            parameter = nested[0].partition("__")[2]
            raise ValueError(
                f"learning_rate of {type(self).__name__} is the number {rate!r}, which has no "
                f"parameter {parameter!r}. Set learning_rate to a schedule as well: one of "
                f"{', '.join(map(repr, available('schedule')))}, or an object."
            )
        if nested and isinstance(rate, str):
            named = copy.copy(self)
            named.learning_rate = rate
            params = {**params, "learning_rate": named.learning_rate_schedule}
        return super().set_params(**params)

    def check_params(self) -> None:
        """Check every parameter, those of a schedule that is named included."""
        super().check_params()
        if isinstance(getattr(self, "learning_rate", None), str):
            self.learning_rate_schedule.check_params()

    def slot_shapes(self, layout: Any) -> dict[str, tuple[int, ...]]:
        """What each state array holds for one model, by its name.

        Parameters
        ----------
        layout : Layout

        Raises
        ------
        ValueError
            If ``slots`` says something that is no shape.

        Examples
        --------
        >>> from skopt_dl.objectives import Layout
        >>> from skopt_dl.optimizers import Optimizer
        >>> class Normalised(Optimizer):
        ...     slots = {"mean": "params", "norm": "scalar"}
        >>> Normalised().slot_shapes(Layout.from_shapes([("w", "hidden", (4, 3))]))
        {'mean': (12,), 'norm': (1,)}
        """
        held = self.slots
        if not isinstance(held, Mapping):
            held = dict.fromkeys(held, "params")
        return {name: self._slot_shape(name, each, layout) for name, each in held.items()}

    def _slot_shape(self, name: str, held: Any, layout: Any) -> tuple[int, ...]:
        said = held
        if callable(said):
            said = said(layout)
        if isinstance(said, str) and said in _NAMED_SHAPES:
            return _NAMED_SHAPES[said](layout)
        if isinstance(said, tuple) and all(isinstance(n, numbers.Integral) for n in said):
            return tuple(map(int, said))
        raise ValueError(
            f"slots of {type(self).__name__} says {said!r} of {name!r}; what a slot holds is "
            f"{', '.join(map(repr, _NAMED_SHAPES))}, a tuple of integers, or a function of the "
            "layout that returns one of these."
        )

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Any = None
    ) -> None:
        """Fill, in place, state arrays that do not start at zero.

        A subclass may leave out the last parameter.

        Parameters
        ----------
        state : dict of str to array of shape (K, …)
        params : array of shape (K, P)
            Read-only.
        xp : namespace
        layout : Layout
        """

    def coefficients(self, number: int, learning_rate: Column) -> dict[str, Column]:
        """Numbers of a step that need float64 whatever the precision of the training.

        Bias corrections, for one. Computed on the host from float64 hyperparameters, then handed
        to `update` as ``step.coefficients``, in the precision of the training.

        Parameters
        ----------
        number : int
            1 at the first update. Of optimizers that are `traceable` it may stand for many steps at
            once, and so may the rate: sums, products and powers are then those of each step. Code
            that asks for more, or sets attributes, is called for each step.
        learning_rate : float or ndarray of shape (K, 1)
        """
        return {}

    def stability_limit(self) -> float:
        """The learning rate times curvature from which a quadratic diverges; NaN if not known."""
        return float("nan")

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return what is added to the parameters.

        Parameters
        ----------
        grad : array of shape (K, P)
            May be overwritten, and returned.
        state : dict of str to array of shape (K, P)
            One array a slot, or ``(K, …)`` as ``slots`` says; updated in place.
        params : array of shape (K, P)
            Read-only.
        step : Step

        Returns
        -------
        change : array of shape (K, P)
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement update.")

    def formula(self) -> Formula | None:
        """What `update` computes, for people; None where nobody wrote it down.

        `skopt_dl.lab.rule` then records `update` at work.
        """
        return None

    def eval_params(self, params: Array, state: Mapping[str, Array]) -> Array:
        """The parameters to predict with, for methods that train with others."""
        return params


def fill_state(
    init_state: Callable[..., None], state: dict[str, Array], params: Array, xp: Any, layout: Any
) -> None:
    """Call an optimizer's ``init_state``, with the layout where it takes one."""
    function = getattr(init_state, "__func__", init_state)
    init_state(state, params, xp, *([layout] if _takes_layout(function) else []))


@lru_cache(maxsize=64)
def _takes_layout(function: Callable[..., None]) -> bool:
    """Whether a function has such a parameter; asking for its signature takes long."""
    return "layout" in inspect.signature(function).parameters


class MinimizerResult(NamedTuple):
    """What `Minimizer.minimize` returns: parameters ``(P,)``, whether and why it ended."""

    params: np.ndarray
    converged: bool
    message: str


class Minimizer(Configurable):
    """Base class of full-batch methods, which run a whole minimisation themselves.

    They get the mean loss over all samples and its gradient, in float64 on the host, one model at
    a time. What an estimator says of batches and steps is `unused`, as for `Optimizer`.
    """

    full_batch: ClassVar[Literal[True]] = True
    # Line searches compare losses more closely than float32 can tell them apart.
    dtype: ClassVar[str | None] = "float64"
    unused: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "batch_size": ("auto", "full"),
        "sampling": ("shuffle",),
        "max_grad_norm": (None,),
        "ema_decay": (None,),
    }
    search_space: ClassVar[Mapping[str, Space]] = {}

    def minimize(
        self,
        value_and_grad: Callable[[np.ndarray], tuple[float, np.ndarray]],
        params: np.ndarray,
        *,
        max_iter: int,
        tol: float,
        callback: Callable[[np.ndarray, float], bool],
    ) -> MinimizerResult:
        """Minimise from `params`.

        Parameters
        ----------
        value_and_grad : callable
            Maps parameters ``(P,)`` float64 to the loss and its gradient ``(P,)``.
        params : ndarray of shape (P,)
            Where to start.
        max_iter : int
            Largest number of iterations, which count as epochs.
        tol : float
            Largest absolute gradient component at which to stop.
        callback : callable
            To be called with the parameters and the loss after each iteration; a true answer
            asks to stop.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement minimize.")
