"""Rules for layers, held by a network of one."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import SkipTest

import numpy as np

from skopt_dl.layers import Layer
from skopt_dl.layers.base import Shape
from skopt_dl.programs import using_engine
from skopt_dl.testing._engines import usable_engines
from skopt_dl.testing._networks import (
    SHAPES,
    Bench,
    bench_of,
    compare_slopes,
    place_in,
    shapes_of,
    takes_numbers,
)
from skopt_dl.testing._rules import broken, expecting

Reference = Callable[[Any, np.ndarray, dict[str, np.ndarray]], "np.ndarray | None"]

N_MODELS = 3
# Of the largest number: products of a stack and of one model may round differently.
SAME = 1e-9
# Of float64's results, and of the largest number.
SINGLE = 1e-3
# Shapes besides those that layers are tried with.
STRANGE: tuple[Shape, ...] = ((1,), (1, 1), (1, 1, 1), (2, 3, 4, 6))


def benches(layer: Layer, input_shape: Shape | None, **options: Any) -> Iterator[Bench]:
    """A bench for each shape of samples."""
    for shape in shapes_of(layer, input_shape):
        yield bench_of(layer, shape, **options)


def with_slopes(layer: Layer, input_shape: Shape | None, **options: Any) -> Iterator[Bench]:
    """The same, whose samples have a gradient where they can have one."""
    return benches(layer, input_shape, given=takes_numbers(layer), **options)


def exercise(layer: Layer, input_shape: Shape | None) -> None:
    """Record and run a step, and a prediction."""
    for bench in with_slopes(layer, input_shape):
        if not bench.is_exercised:
            bench.value_and_grad(N_MODELS)
            bench.outputs(N_MODELS)
            bench.is_exercised = True


def check_declared_tensors(layer: Layer, input_shape: Shape | None = None) -> None:
    """``tensors`` and ``statistics`` say what there is."""
    list(benches(layer, input_shape))


def check_forward_is_recorded(layer: Layer, input_shape: Shape | None = None) -> None:
    """``forward`` and its derivative are array code."""
    exercise(layer, input_shape)


def check_output_shape(layer: Layer, input_shape: Shape | None = None) -> None:
    """What comes out has the shape that ``output_shape`` says."""
    exercise(layer, input_shape)


def check_input_is_left_alone(layer: Layer, input_shape: Shape | None = None) -> None:
    """``forward`` does not write to the samples, nor to tensors."""
    exercise(layer, input_shape)


def check_self_is_left_alone(layer: Layer, input_shape: Shape | None = None) -> None:
    """``forward`` keeps nothing in self."""
    exercise(layer, input_shape)


def check_other_shapes(layer: Layer, input_shape: Shape | None = None) -> str:
    """Samples of a shape are refused with a ValueError, or can be computed."""
    rule = "output_shape raises ValueError for samples that cannot go in; others can be computed."
    refused = []
    exercise(layer, input_shape)
    for shape in (*SHAPES, *STRANGE):
        try:
            layer.output_shape(shape)
        except ValueError:
            refused.append(shape)
            continue
        except Exception as error:
            seen = f"output_shape({shape}) raises {type(error).__name__}: {error}"
            raise broken(layer, rule, seen, _SAY_SO) from error
        try:
            bench_of(layer, shape).outputs(2)
        except AssertionError as error:
            seen = f"samples of shape {shape} are taken; {getattr(error, 'seen', error)}"
            raise broken(layer, rule, seen, _SAY_SO) from error
    return f"refused: {', '.join(map(str, refused))}" if refused else ""


_SAY_SO = (
    "Look at the number of axes in output_shape, and raise ValueError with what goes in; or treat "
    "all axes but the last as one, by reshape."
)


def check_repetition(layer: Layer, input_shape: Shape | None = None) -> None:
    """Recording it twice gives the same program."""
    for first in with_slopes(layer, input_shape):
        second = Bench(layer, first.shape, given=first.given)
        results = [(*bench.value_and_grad(1), bench.outputs(1)) for bench in (first, second)]
        if any(differ(a, b, 0.0) for a, b in zip(*results, strict=True)):
            raise broken(
                layer,
                "Equal runs give equal results.",
                "recorded twice, it gives two results",
                "Draw in `draw`, from the generator that is given, and take run.mask; keep nothing "
                "in the class or its module.",
            )


def check_precision(layer: Layer, input_shape: Shape | None = None) -> None:
    """float32 in, float32 out, near to what float64 gives."""
    for double, single in zip(
        with_slopes(layer, input_shape),
        with_slopes(layer, input_shape, dtype="float32"),
        strict=True,
    ):
        exact = (*double.value_and_grad(N_MODELS), double.outputs(N_MODELS))
        rounded = (*single.value_and_grad(N_MODELS), single.outputs(N_MODELS))
        for a, b in zip(exact, rounded, strict=True):
            if b.dtype != np.float32 or differ(a, b, SINGLE):
                raise broken(
                    layer,
                    "What comes out in float32 is that of float64, rounded.",
                    f"{b.dtype}, up to {np.abs(a - b).max():.3g} off, of {np.abs(a).max():.3g}",
                    "Look for differences of nearly equal numbers, and for constants that are too "
                    "small or too large for float32.",
                )


def check_models_are_independent(layer: Layer, input_shape: Shape | None = None) -> None:
    """A model of a stack has the values and gradients that it has alone."""
    for bench in with_slopes(layer, input_shape):
        params = bench.params(N_MODELS)
        together = (*bench.value_and_grad(N_MODELS), bench.outputs(N_MODELS))
        for k in range(N_MODELS):
            row = params[k : k + 1]
            alone = (*bench.value_and_grad(1, row, seed=k), bench.outputs(1, row))
            _compare_models(layer, k, [each[k] for each in together], [each[0] for each in alone])
    for own, shared in zip(
        with_slopes(layer, input_shape), benches(layer, input_shape), strict=True
    ):
        n_given = own.n_given
        if n_given and not own.network.statistics.size:
            # Samples that all models share are (1, n_rows, …).
            params = own.params(N_MODELS)
            places = [s for s in own.network.layout.specs if s.name != "given_0"]
            columns = np.concatenate(
                [np.arange(s.offset, s.offset + s.size) for s in places] or [np.arange(0)]
            ).astype(int)
            outputs = own.outputs(N_MODELS, params), shared.outputs(N_MODELS, params[:, columns])
            _compare_models(layer, 0, [outputs[1]], [outputs[0]])


def _compare_models(layer: Layer, k: int, together: list[Any], alone: list[Any]) -> None:
    for what, a, b in zip(("value", "gradient", "prediction"), together, alone, strict=False):
        if differ(a, b, SAME):
            raise broken(
                layer,
                "No model of a stack depends on its neighbours.",
                f"the {what} of model {k} of {N_MODELS} is up to {np.abs(a - b).max():.3g} away "
                f"from what it is alone, of {np.abs(b).max():.3g}",
                "The first axis is the models': reduce over later ones, with keepdims=True, and "
                "mind that samples may be (1, n_rows, …).",
            )


def check_parameters_may_differ(layer: Layer, input_shape: Shape | None = None) -> None:
    """Models of a stack may differ in what ``per_model`` lists."""
    if not layer.per_model:
        raise SkipTest("it lists no per_model")
    for shape in shapes_of(layer, input_shape):
        variants = [_variant(layer, k) for k in range(N_MODELS)]
        given = takes_numbers(layer)
        bench = Bench(variants, shape, given=given)
        value, grad = bench.value_and_grad(N_MODELS)
        params = bench.params(N_MODELS)
        for k, variant in enumerate(variants):
            one = Bench(variant, shape, given=given)
            alone = one.value_and_grad(1, params[k : k + 1], seed=k)
            if differ(value[k], alone[0][0], SAME) or differ(grad[k], alone[1][0], SAME):
                raise broken(
                    layer,
                    f"Models of a stack may differ in {', '.join(layer.per_model)}.",
                    f"model {k} has other values than alone, where others have other parameters",
                    "What run.mask returns has a row for each model; forward does not read self.",
                )


def _variant(layer: Layer, k: int) -> Layer:
    """The layer with valid values of what may differ, smaller for each model."""
    variant = copy.copy(layer)
    for name in layer.per_model:
        value = getattr(layer, name)
        if isinstance(value, numbers.Real):
            setattr(variant, name, float(value) * 0.5**k)
    return variant


def check_samples_are_independent(layer: Layer, input_shape: Shape | None = None) -> None:
    """A prediction for a sample does not depend on the others."""
    for bench in benches(layer, input_shape):
        together = bench.outputs(1)
        for i in range(bench.n_samples):
            others = np.roll(bench.samples, 1, axis=0)
            others[i] = bench.samples[i]
            among_others = bench.outputs(1, samples=others)
            if differ(together[0, i], among_others[0, i], SAME):
                raise broken(
                    layer,
                    "A prediction for a sample does not depend on the others in its batch.",
                    f"sample {i} of {bench.n_samples} has another result among other samples",
                    "The second axis is the samples': reduce over later ones. What a training "
                    "knows of the batch is kept for predictions with `statistics` and run.keep.",
                )


def check_gradient(layer: Layer, input_shape: Shape | None = None) -> str:
    """The gradients, of samples and tensors, are those of central differences."""
    said = ""
    for bench in with_slopes(layer, input_shape):
        params = bench.params(1)
        if not params.size:
            continue
        _, grad = bench.value_and_grad(1)
        said = compare_slopes(
            layer,
            bench.values(),
            params[0],
            grad[0],
            lambda place, bench=bench: place_in(bench, place),  # type: ignore[misc]
            "Leave the derivative out, and reverse mode finds it; or look at it term by term, at "
            "sums over what is broadcast for one.",
        )
    if not said:
        raise SkipTest("there is nothing to differentiate by")
    return said


def check_zeros_and_large_numbers(layer: Layer, input_shape: Shape | None = None) -> None:
    """Samples of zeros, equal numbers and large ones give finite results and gradients."""
    if not takes_numbers(layer):
        raise SkipTest("it takes tokens")
    for dtype in ("float64", "float32"):
        for shape in shapes_of(layer, input_shape):
            bench = bench_of(layer, shape, dtype, True)
            size = np.sign(bench.samples)
            for name, samples in (
                ("zero", 0 * size),
                ("all equal", 0 * size + 1.0),
                ("±1000", 1000.0 * size),
            ):
                params = bench.params(1, samples)
                found = (*bench.value_and_grad(1, params), bench.outputs(1, params))
                for what, array in zip(("value", "gradient", "prediction"), found, strict=True):
                    if not np.isfinite(array).all():
                        raise broken(
                            layer,
                            "Zeros, equal numbers and large ones give finite results.",
                            f"the {what} is not finite, in {dtype}, for samples that are {name}",
                            "Subtract the largest number before exp; add epsilon to what is "
                            "divided by, and within a root.",
                        )


def check_selected(layer: Layer, input_shape: Shape | None = None) -> None:
    """Numbers that ``selected`` says come out as they are do so."""
    for bench in benches(layer, input_shape):
        rows = bench.samples.reshape(bench.n_samples, -1)
        selected = layer.selected(rows)
        if selected is None:
            raise SkipTest("selected returns None: it computes")
        outputs = bench.outputs(1).reshape(bench.n_samples, -1)
        if np.shape(selected) != outputs.shape or not np.array_equal(selected, outputs):
            raise broken(
                layer,
                "selected returns the numbers of samples that come out, in their order.",
                "what comes out is another selection",
                "Return None where anything is computed.",
            )


def check_reference(
    layer: Layer, reference: Reference | None = None, input_shape: Shape | None = None
) -> str:
    """Predictions are those of the author's own code, in float64."""
    if reference is None:
        raise SkipTest("no reference is given")
    n_compared = 0
    for bench in benches(layer, input_shape):
        params = bench.params(1)
        given = {name: array.copy() for name, array in bench.tensors(params).items()}
        with expecting(layer, "The reference runs.", "reference(layer, x, tensors)"):
            expected = reference(layer, bench.samples.copy(), given)
        if expected is not None:
            compare_with_reference(layer, bench.outputs(1, params)[0], expected)
            n_compared += 1
    if not n_compared:
        raise SkipTest("the reference has no values for it")
    return f"within {SAME:g}"


def compare_with_reference(component: Any, found: np.ndarray, expected: Any) -> None:
    """See that values are those of a reference."""
    rule = "Values are those of the reference."
    expected = np.asarray(expected, dtype=np.float64)
    if expected.shape != found.shape:
        seen = f"the reference is of shape {expected.shape}, for {found.shape}"
        raise broken(component, rule, seen, "Return one array, without the axis of models.")
    if differ(found, expected, SAME):
        off = np.nan_to_num(np.abs(found - expected), nan=np.inf)
        where = np.unravel_index(int(off.argmax()), off.shape)
        raise broken(
            component,
            rule,
            f"at {tuple(map(int, where))} there is {found[where]:.17g} instead of "
            f"{expected[where]:.17g}",
            "Compare term by term.",
        )


def check_program(layer: Layer, input_shape: Shape | None = None) -> str:
    """The program gives the same on every engine."""
    engines, unusable = usable_engines()
    for bench in with_slopes(layer, input_shape):
        results = {}
        for engine in engines:
            with using_engine(engine):
                results[engine] = (*bench.value_and_grad(N_MODELS), bench.outputs(N_MODELS))
        compare_engines(layer, results)
    return f"traced, and run by {', '.join(engines)}{unusable}"


def compare_engines(component: Any, results: Mapping[str, tuple[np.ndarray, ...]]) -> None:
    """See that all engines give what NumPy gives."""
    for engine, found in results.items():
        for a, b in zip(found, results["numpy"], strict=True):
            if differ(a, b, SAME):
                raise broken(
                    component,
                    "Every engine gives the same.",
                    f"{engine} is up to {np.abs(a - b).max():.3g} away from numpy, of "
                    f"{np.abs(b).max():.3g}",
                    "Please report it: with the layer or loss, and what `skopt-dl plugins doctor` "
                    "says of the engine.",
                )


def differ(a: Any, b: Any, tolerance: float) -> bool:
    """Whether arrays differ, by more than a part of the largest number."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return not bool(np.all(np.abs(a - b) <= tolerance * max(1.0, np.abs(b).max(initial=0))))
