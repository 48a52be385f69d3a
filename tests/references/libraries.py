"""Run one optimizer of one library on the fixed gradients, in float64."""

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

import closed_forms
import jax
import numpy as np
import optax
import pytorch_optimizer
import torch
from sklearn.neural_network import _stochastic_optimizers as sklearn_optimizers

os.environ["KERAS_BACKEND"] = "jax"  # read when keras is imported, so it is imported after this
keras = import_module("keras")

jax.config.update("jax_enable_x64", True)
# Not only the parameters: torch keeps NAdam's running product of momenta in the default dtype, and
# keras its learning rate in floatx. In float32 these cost 2e-9 and 5e-8 of a parameter's value.
torch.set_default_dtype(torch.float64)
keras.config.set_floatx("float64")


def release(distribution):
    """Name and version, without the local part that says which build of torch it is."""
    return f"{distribution} {version(distribution).partition('+')[0]}"


@dataclass(frozen=True)
class Call:
    """One optimizer of one library: how to run it and how to cite it."""

    library: str
    function: str
    kwargs: dict

    def __str__(self):
        module, distribution = NAMES[self.library]
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.kwargs.items())
        return f"{release(distribution)} {module}.{self.function}({arguments})"

    def run(self, gradients, initial, factors=None):
        """Parameters after every step.

        Parameters
        ----------
        gradients : ndarray of shape (n_steps, n_parameters), float64
        initial : ndarray of shape (n_parameters,), float64
        factors : ndarray of shape (n_steps,), float64, optional
            What the learning rate is multiplied by at each step.

        Returns
        -------
        ndarray of shape (n_steps, n_parameters), float64
        """
        path = RUNNERS[self.library](self.function, self.kwargs, gradients, initial, factors)
        path = np.asarray(path)
        assert path.dtype == np.float64, self
        assert path.shape == gradients.shape, self
        return path


def _run_torch(function, kwargs, gradients, initial, factors, module=torch.optim):
    parameter = torch.nn.Parameter(torch.tensor(initial))
    optimizer = getattr(module, function)([parameter], **kwargs)
    rate = optimizer.param_groups[0]["lr"]
    path = []
    for step, gradient in enumerate(gradients):
        if factors is not None:
            optimizer.param_groups[0]["lr"] = rate * float(factors[step])
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(parameter.detach().numpy().copy())
    return path


def _run_pytorch_optimizer(*arguments):
    return _run_torch(*arguments, module=pytorch_optimizer)


def _run_optax(function, kwargs, gradients, initial, factors):
    if factors is not None:
        rates = jax.numpy.asarray(kwargs["learning_rate"] * factors)
        kwargs = {**kwargs, "learning_rate": lambda count: rates[count]}
    optimizer = getattr(optax, function)(**kwargs)
    parameters = jax.numpy.asarray(initial)
    state = optimizer.init(parameters)
    path = []
    for gradient in gradients:
        updates, state = optimizer.update(jax.numpy.asarray(gradient), state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        path.append(np.asarray(parameters))
    return path


def _run_keras(function, kwargs, gradients, initial, factors):
    variable = keras.Variable(initial, dtype="float64")
    optimizer = getattr(keras.optimizers, function)(**kwargs)
    rate = float(optimizer.learning_rate)
    path = []
    for step, gradient in enumerate(gradients):
        if factors is not None:
            optimizer.learning_rate = rate * float(factors[step])
        optimizer.apply_gradients([(jax.numpy.asarray(gradient), variable)])
        path.append(np.array(variable.value))
    return path


def _run_sklearn(function, kwargs, gradients, initial, factors):
    parameters = initial.copy()
    optimizer = getattr(sklearn_optimizers, function)([parameters], **kwargs)
    rate = optimizer.learning_rate_init
    path = []
    for step, gradient in enumerate(gradients):
        if factors is not None:
            # Adam computes the one from the other, SGD has its schedules write the latter.
            optimizer.learning_rate_init = optimizer.learning_rate = rate * float(factors[step])
        optimizer.update_params([parameters], [gradient])
        path.append(parameters.copy())
    return path


def _run_closed_form(function, kwargs, gradients, initial, factors):
    kwargs = dict(kwargs)
    rate = kwargs.pop("learning_rate")
    factors = np.ones(len(gradients)) if factors is None else factors
    rates = closed_forms.exact(rate * factors)[:, None]
    exact = [closed_forms.exact(array) for array in (gradients, initial)]
    return getattr(closed_forms, function)(*exact, rates, **kwargs).astype(np.float64)


RUNNERS = {
    "torch": _run_torch,
    "pytorch_optimizer": _run_pytorch_optimizer,
    "optax": _run_optax,
    "keras": _run_keras,
    "sklearn": _run_sklearn,
    "mpmath": _run_closed_form,
}

# Where each library keeps its optimizers, and what it is called on PyPI.
NAMES = {
    "torch": ("torch.optim", "torch"),
    "pytorch_optimizer": ("pytorch_optimizer", "pytorch_optimizer"),
    "optax": ("optax", "optax"),
    "keras": ("keras.optimizers", "keras"),
    "sklearn": ("sklearn.neural_network._stochastic_optimizers", "scikit-learn"),
    "mpmath": ("closed_forms", "mpmath"),
}
