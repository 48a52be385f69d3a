"""Parameters that take a name or an object: optimizer, activation, loss, initializer."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator, clone

from skopt_dl._params import Configurable
from skopt_dl._pickling import MissingPluginObject
from skopt_dl.networks import Activation, Initializer, Loss
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.plugins import available, make, package_of_name, remember_packages

# The kind of name each parameter takes, and the classes of its objects.
NAMED: dict[str, tuple[str, tuple[type, ...]]] = {
    "optimizer": ("optimizer", (Optimizer, Minimizer)),
    "activation": ("activation", (Activation,)),
    "loss": ("loss", (Loss,)),
    "init": ("initializer", (Initializer,)),
}


class NamedComponents(Configurable):
    """``optimizer__learning_rate`` and its like, for names as well as for objects."""

    # A model gets no stand-in where its class is missing: it could not predict.
    __reduce__ = object.__reduce__  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        packages = {}
        for parameter, (kind, _) in NAMED.items():
            name = getattr(self, parameter, None)
            package = package_of_name(kind, name) if isinstance(name, str) else None
            if package is not None:
                packages[kind] = name, package
        state = dict(super().__getstate__())
        return {**state, "_packages": packages} if packages else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Where a plugin is missing, errors can then say which package has the name.
        packages = state.pop("_packages", {})
        remember_packages({(kind, name): package for kind, (name, package) in packages.items()})
        super().__setstate__(state)

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        ``optimizer__learning_rate`` sets a hyperparameter of the optimizer; where ``optimizer``
        is a name, the optimizer is created first. The same holds for ``loss``, ``activation`` and
        ``init``.

        Raises
        ------
        ValueError
            If a name or a parameter is unknown; the message gives the nearest match.
        """
        nested = {key.partition("__")[0] for key in params if "__" in key}
        for parameter in nested & set(NAMED):
            value = params.get(parameter, getattr(self, parameter))
            if isinstance(value, list | tuple):
                raise ValueError(
                    f"{parameter} of {type(self).__name__} is a list, {value!r}, whose parts have "
                    f"no parameters by name. Set {parameter} to objects with other parameters."
                )
            if isinstance(value, str):
                params = {**params, parameter: self._make(parameter, value)}
            elif isinstance(value, type) or not hasattr(value, "set_params"):
                raise ValueError(self._not_a_component(parameter, *NAMED[parameter], value))
        return super().set_params(**params)

    def _make(self, parameter: str, name: str) -> Any:
        kind, _ = NAMED[parameter]
        try:
            return make(kind, name)
        except ValueError as error:
            raise ValueError(f"{parameter} of {type(self).__name__}: {error}") from None

    def _component(self, parameter: str, value: Any = None) -> Any:
        """Return a checked copy of the object that a parameter, or one value of it, names or is."""
        value = getattr(self, parameter) if value is None else value
        kind, classes = NAMED[parameter]
        if isinstance(value, str):
            component = self._make(parameter, value)
        elif isinstance(value, (*classes, MissingPluginObject)):
            component = clone(value)
        else:
            raise ValueError(self._not_a_component(parameter, kind, classes, value))
        component.check_params()
        return component

    def _not_a_component(
        self, parameter: str, kind: str, classes: tuple[type, ...], value: Any
    ) -> str:
        names = " or ".join(cls.__name__ for cls in classes)
        message = (
            f"{parameter} of {type(self).__name__} must be a name ({', '.join(available(kind))}) "
            f"or an object of class {names}; got {value!r}."
        )
        if isinstance(value, type):
            message += f" That is a class: pass an object, {value.__name__}()."
        elif parameter == "init" and isinstance(value, BaseEstimator):
            message += (
                " To start from the weights of a fitted model, pass "
                "skopt_dl.networks.FromFitted(model)."
            )
        return message
