"""The weights that a training starts with: new ones, or those that are fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.networks import FromFitted, Initializer, Network


def new_weights(
    model: Any, network: Network, init: Initializer, rng: np.random.Generator, dtype: Any
) -> np.ndarray:
    """Draw weights, and statistics of nothing yet, ``(P + S,)``."""
    size = network.layout.size
    params = np.zeros(size + network.statistics.size, dtype=dtype)
    init.fill(network.layout, params[:size], rng, network.gains)
    if isinstance(init, FromFitted):
        model._scale_last_layer(network, params)
    return params


def fitted_weights(
    model: Any, network: Network, resume: dict[str, Any] | None, dtype: Any
) -> np.ndarray:
    """The weights of a fitted model to go on from, ``(P + S,)``.

    `resume` is the state that goes on with them, if any does: it may hold others than those that
    predict.
    """
    plain = model._pack(network.plain, dtype)
    trained = (resume or {}).get("params", model._trained)
    if trained is not None and model._trained_with == model._kind_of_weights(network):
        return trained.astype(dtype)
    params = np.zeros(network.layout.size + network.statistics.size, dtype=dtype)
    params[: len(plain)] = plain
    model._scale_last_layer(network, params)
    return params


def resumable(model: Any, optimizer: Any, network: Network) -> dict[str, Any] | None:
    """The state to go on from, where it was left by an optimizer of the same kind."""
    state = getattr(model, "_resume", None)
    if state is None or type(model.optimizer_) is not type(optimizer):
        return None
    if model._trained_with != model._kind_of_weights(network):
        return None
    shapes = {slot: array.shape for slot, array in state["slots"].items()}
    return state if shapes == optimizer.slot_shapes(network.layout) else None
