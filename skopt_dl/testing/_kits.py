"""Which checks there are, in the order in which they are made."""

from __future__ import annotations

from typing import Any

from skopt_dl.layers import Layer
from skopt_dl.testing import (
    _activations,
    _configuration,
    _declarations,
    _foreign,
    _gradients,
    _initializers,
    _layers,
    _losses,
    _minimizers,
    _programs,
    _schedules,
    _stacks,
    _state,
    _updates,
    _values,
)
from skopt_dl.testing._checks import Check, Kit
from skopt_dl.testing._networks import shapes_taken
from skopt_dl.testing._rules import kind_of

_CALLED = ("update runs, given arrays (K, P).", "check_update_runs")
_CONFIGURATION = (
    _configuration.check_init_names_parameters,
    _configuration.check_init_stores_arguments,
    _configuration.check_constraints,
    _configuration.check_copies,
)
_OF_COMPONENTS = (
    *_CONFIGURATION[:3],
    _configuration.check_bad_parameters,
    _configuration.check_copies,
)

OF_OPTIMIZERS = Kit(
    {
        "configuration": (
            *_CONFIGURATION[:2],
            _declarations.check_declarations,
            _declarations.check_arguments_of_update,
            *_CONFIGURATION[2:],
            _declarations.check_search_space,
        ),
        "calls": (
            _updates.check_update_runs,
            _updates.check_what_update_returns,
            _updates.check_params_are_left_alone,
            _updates.check_self_is_left_alone,
            _updates.check_state_is_kept_in_place,
            _updates.check_eval_params,
            _updates.check_other_networks,
        ),
        "gradients elsewhere": (_gradients.check_gradient_elsewhere,),
        "state": (
            _updates.check_repetition,
            _state.check_resumption,
            _state.check_slots_are_used,
        ),
        "numbers": (_updates.check_small_gradients, _updates.check_large_gradients),
        "functions": (_foreign.check_functions_come_from_xp,),
        "gradients": (
            _gradients.check_changes_depend_on_the_gradient,
            _gradients.check_progress,
        ),
        "values": (_values.check_targets, _values.check_reference),
        "schedules": (_gradients.check_schedules,),
        "stacks": (
            _stacks.check_models_are_independent,
            _stacks.check_hyperparameters_may_differ,
            _stacks.check_models_of_different_pasts,
        ),
        "programs": (_programs.check_program,),
    },
    basic=(
        "configuration",
        "calls",
        "gradients elsewhere",
        "state",
        "numbers",
        "schedules",
        "stacks",
    ),
    runs=_CALLED,
)
OF_MINIMIZERS = Kit(
    {
        "configuration": (*_CONFIGURATION, _declarations.check_search_space),
        "minimize": (
            _minimizers.check_minimize,
            _minimizers.check_minimize_repeats,
            _minimizers.check_minimize_keeps_to_max_iter,
            _minimizers.check_minimize_stops_when_told,
        ),
    },
    basic=("configuration",),
    runs=_CALLED,
    untraced="not traced: it runs a whole minimisation itself",
)
_LAYERS: dict[str, Any] = {
    "configuration": _OF_COMPONENTS,
    "calls": (
        _layers.check_declared_tensors,
        _layers.check_forward_is_recorded,
        _layers.check_output_shape,
        _layers.check_input_is_left_alone,
        _layers.check_self_is_left_alone,
        _layers.check_other_shapes,
    ),
    "state": (_layers.check_repetition,),
    "precision": (_layers.check_precision,),
    "stacks": (
        _layers.check_models_are_independent,
        _layers.check_parameters_may_differ,
        _layers.check_samples_are_independent,
    ),
    "gradients": (_layers.check_gradient,),
    "numbers": (_layers.check_zeros_and_large_numbers,),
    "values": (_layers.check_selected, _layers.check_reference),
    "programs": (_layers.check_program,),
}
_ARRAY_CODE = ("forward is array code.", "check_forward_is_recorded")
OF_LAYERS = Kit(
    _LAYERS,
    basic=("configuration", "calls", "state", "precision", "stacks"),
    runs=_ARRAY_CODE,
)
OF_ACTIVATIONS = Kit(
    {
        **_LAYERS,
        "elements": (_activations.check_elements_are_independent,),
        "slopes": (_activations.check_kink, _activations.check_glorot_gain),
    },
    basic=(*OF_LAYERS.basic, "elements"),
    runs=_ARRAY_CODE,
)
OF_LOSSES = Kit(
    {
        "configuration": _OF_COMPONENTS,
        "calls": (
            _losses.check_declarations,
            _losses.check_value_is_recorded,
            _losses.check_what_value_returns,
            _losses.check_arrays_are_left_alone,
            _losses.check_self_is_left_alone,
        ),
        "state": (_losses.check_repetition,),
        "precision": (_losses.check_precision,),
        "stacks": (_losses.check_models_are_independent, _losses.check_samples_are_independent),
        "gradients": (_losses.check_gradient, _losses.check_rest),
        "numbers": (_losses.check_large_outputs, _losses.check_targets_are_checked),
        "predictions": (_losses.check_predictions,),
        "convexity": (_losses.check_convexity,),
        "values": (_losses.check_reference,),
        "programs": (_losses.check_program,),
    },
    basic=("configuration", "calls", "state", "precision", "stacks"),
    runs=("value is array code.", "check_value_is_recorded"),
)
OF_SCHEDULES = Kit(
    {
        "configuration": (*_OF_COMPONENTS, _schedules.check_around),
        "rates": (_schedules.check_rates, _schedules.check_huge_steps),
        "state": (_schedules.check_self_and_progress_are_left_alone,),
        "declarations": (_schedules.check_per_step, _schedules.check_spans_training),
        "plateaus": (_schedules.check_plateaus,),
        "stacks": (_schedules.check_models_of_a_stack,),
        "values": (_schedules.check_reference,),
    },
    basic=("configuration", "rates", "state", "declarations", "plateaus"),
    runs=("value returns a rate for every progress.", "check_rates"),
    untraced="not traced: the host asks for a rate, once a step",
)
OF_INITIALIZERS = Kit(
    {
        "configuration": _OF_COMPONENTS,
        "values": (
            _initializers.check_what_draw_returns,
            _initializers.check_fill,
        ),
        "generators": (
            _initializers.check_same_seed_same_weights,
            _initializers.check_other_seed_other_weights,
            _initializers.check_only_its_generator,
        ),
        "scales": (
            _initializers.check_gain,
            _initializers.check_scale,
            _initializers.check_reference,
        ),
    },
    basic=("configuration", "values", "generators"),
    runs=("draw returns weights.", "check_what_draw_returns"),
    untraced="not traced: the host draws, once a model",
)
_KITS = {
    "optimizer": OF_OPTIMIZERS,
    "activation": OF_ACTIVATIONS,
    "layer": OF_LAYERS,
    "loss": OF_LOSSES,
    "schedule": OF_SCHEDULES,
    "initializer": OF_INITIALIZERS,
}


def kit_of(component: Any) -> Kit:
    """The checks for a component."""
    is_minimizer = getattr(component, "full_batch", False)
    return OF_MINIMIZERS if is_minimizer else _KITS[kind_of(component)]


def component_checks(
    component: Any, *, reference: Any = None, input_shape: tuple[int, ...] | None = None
) -> list[Check]:
    """List the checks of a component, each to be called with it.

    Parameters
    ----------
    component : Optimizer, Minimizer, Layer, Activation, Loss, Schedule or Initializer
    reference : callable, default=None
        See `check_component`.
    input_shape : tuple of int, default=None
        See `check_component`.

    Raises
    ------
    TypeError
        If there is no use for an option.
    ValueError
        If a layer takes none of the usual shapes.
    """
    if isinstance(component, Layer) and input_shape is None:
        # Now, since a check would say that the layer is to be mended.
        shapes_taken(component)
    options = {"reference": reference, "input_shape": input_shape}
    return kit_of(component).checks_with(options)
