"""The one call an author of an optimizer makes in a test."""

from __future__ import annotations

from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.testing import _configuration, _minimizers, _programs, _stacks, _updates


def check_optimizer(optimizer: Optimizer | Minimizer) -> str:
    """Check that an optimizer keeps the rules that skopt_dl relies on.

    What it checks holds for every optimizer: whether the values are those of the paper only a
    comparison with an independent implementation can tell. A test of an optimizer needs both.

    For an `Optimizer`:

    - it stores its parameters as they are, clones, prints and pickles;
    - ``update`` returns a finite array of the gradient's shape and precision, in float32 and
      float64, for large, zero and tiny gradients;
    - ``update`` leaves the parameters alone, keeps its state in ``slots``, in place, and nothing
      in ``self``;
    - in a stack, no model depends on its neighbours, and models with different hyperparameters
      follow the paths they follow alone (unless the class says ``stackable = False``);
    - where ``update`` can be recorded, what is recorded does what it does;
    - equal runs give equal results, a schedule works as ``learning_rate``, and a convex quadratic
      gets smaller.

    For a `Minimizer`: the first, repetition, the quadratic, and what ``minimize`` promises.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
        An object, with parameters that are sensible for gradients of size 1.

    Returns
    -------
    traced : str
        ``"traced"`` where ``update`` is recorded once and run as a program, else why it is called
        at every step, which takes longer: ``"not traced: …"``.

    Raises
    ------
    AssertionError
        At the first broken rule; the message says what the rule is, what was seen, and how to
        keep the rule.
    TypeError
        If `optimizer` is not an optimizer.

    Examples
    --------
    >>> from skopt_dl.optimizers import Adam
    >>> from skopt_dl.testing import check_optimizer
    >>> check_optimizer(Adam(learning_rate=0.01))
    'traced'

    >>> class Broken(Adam):
    ...     def update(self, grad, state, params, step):
    ...         params -= step.learning_rate * grad
    >>> check_optimizer(Broken())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: Broken breaks a rule for optimizers...
    """
    if not isinstance(optimizer, Optimizer | Minimizer):
        hint = f" Pass an object: {optimizer.__name__}()." if isinstance(optimizer, type) else ""
        raise TypeError(
            f"check_optimizer takes an object of class Optimizer or Minimizer; got {optimizer!r}."
            f"{hint}"
        )
    _configuration.check(optimizer)
    if optimizer.full_batch:
        _minimizers.check(optimizer)
        return "not traced: it runs a whole minimisation itself"
    _updates.check(optimizer)
    _stacks.check(optimizer)
    return _programs.check(optimizer)
