"""What a layer is: its tensors, the shape it returns, and its forward pass in array code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from skopt_dl._params import COUNT, Configurable

Array = Any
Shape = tuple[int, ...]
# What to write for the size of what comes in, which other libraries ask for.
FOLLOWS = "left out: it follows from what comes in"


class Parameter(NamedTuple):
    """A tensor that a layer learns, or keeps statistics in.

    Attributes
    ----------
    name : str
        What `Layer.forward` finds it by.
    shape : tuple of int
        Of one model. Weights of a product are ``(n_in, n_out)``.
    role : {"weight", "bias", "norm"}
        Weights are drawn by the initializer and have the L2 penalty; others start at zero, so zero
        has to be neutral.
    gain : float, default=1.0
        What the initializer multiplies the scale of weights by.
    """

    name: str
    shape: Shape
    role: str
    gain: float = 1.0


class Pass:
    """What a layer is told of the pass that it is traced in.

    Attributes
    ----------
    xp : namespace
        The array functions, which record what is done.
    training : bool
        Whether this is a step of a training, or a prediction.
    shares : array of shape (K or 1, 1, n_rows)
        While training, each sample's share in the batch: 1 in sum, or all zero.
    share : array of shape (K or 1, n_rows, 1), or () where all samples have the same
        Likewise, to multiply rows with.
    where : str
        What the layer is called in messages.
    """

    xp: Any
    training: bool
    shares: Array
    share: Array
    where: str = ""

    def custom(self, forward: Any, backward: Any, *inputs: Array) -> Array:
        """Call `forward` with `inputs`, whose derivative `backward` knows.

        ``backward(delta, out, *inputs)`` returns the gradient at each input.
        """
        raise NotImplementedError

    def mask(self, layer: Layer, x: Array) -> Array | None:
        """Return an array like `x` for a layer's rate, drawn anew in each step.

        It is 0 for units that are left out, and else what makes up for them. None where none are,
        for any model.
        """
        raise NotImplementedError

    def share_of(self, rows: Array) -> Array:
        """While training, the `share` of each of `rows`, of which a sample has one or several."""
        raise NotImplementedError

    def mean(self, rows: Array) -> Array:
        """While training, the mean of a batch's rows, by shares.

        Parameters
        ----------
        rows : array of shape (K, n, n_features)
            Those of a sample, one or several, side by side.

        Returns
        -------
        mean : array of shape (K, 1, n_features)
        """
        raise NotImplementedError

    def keep(self, average: Array, value: Array) -> None:
        """While training, move a kept average towards the value of this batch."""
        raise NotImplementedError


class Layer(Configurable):
    """Base class of layers.

    A subclass stores the arguments of its ``__init__`` verbatim and implements `forward`, in array
    code: functions of ``run.xp`` and operators, no branch on values. Arrays are ``(K, n_rows, …)``:
    the models of a stack, and the samples of a batch, which do not see each other. The gradient
    follows by reverse mode.

    Attributes
    ----------
    per_model : tuple of str
        Parameters that may differ between the models of a stack.

    Examples
    --------
    >>> from skopt_dl.layers import Layer, Parameter
    >>> class Scale(Layer):
    ...     def tensors(self, shape):
    ...         return [Parameter("scale", (1, shape[-1]), "norm")]
    ...
    ...     def forward(self, x, tensors, run):
    ...         return x * (1.0 + tensors.scale)
    """

    per_model: tuple[str, ...] = ()

    @property
    def branches(self) -> Sequence[Sequence[Layer]]:
        """Layers that this one holds, in branches that all get its input."""
        return ()

    def with_branches(self, branches: Sequence[Sequence[Layer]]) -> Layer:
        """Return a layer like this one with other branches; to be written where there are any."""
        raise NotImplementedError(f"{type(self).__name__} does not implement with_branches.")

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        """The tensors to learn, for input of this shape (of one sample)."""
        return ()

    def statistics(self, shape: Shape) -> Sequence[Parameter]:
        """What is kept for predictions besides, and learnt by other means than the gradient."""
        return ()

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of a sample that comes out.

        Raises
        ------
        ValueError
            If samples of this shape cannot go in.
        """
        return shape

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        """Return what comes out for `x`, ``(K, n_rows, *shape)``.

        Parameters
        ----------
        x : array of shape (K or 1, n_rows, *shape)
        tensors : namespace
            The layer's tensors and statistics as attributes, ``(K, *shape)`` each; where there are
            branches, ``tensors.branches`` has a function of `x` for each.
        run : Pass
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement forward.")

    def check_samples(self, x: Any) -> None:
        """Look at the samples that come in.

        Parameters
        ----------
        x : ndarray or SciPy sparse matrix of shape (n_samples, n), or None
            None where it is not the samples that come in, but what other layers have computed.

        Raises
        ------
        ValueError
            If they are such that the layer cannot mean anything by them.
        """

    def selected(self, x: Any) -> Any:
        """Of samples, ``(n_samples, n)``, those numbers that come out as they are.

        None where others come out: then no `Embedding` can follow.
        """
        return None

    def flops(self, shape: Shape) -> float:
        """Floating-point operations of the products, for one sample."""
        return 0.0


def shape_after(layers: Sequence[Layer], shape: Shape) -> Shape:
    """The shape of samples after some layers, one after the other."""
    for layer in layers:
        shape = shape_out(layer, shape)
    return shape


def shape_out(layer: Layer, shape: Shape) -> Shape:
    """The shape of samples after a layer.

    Raises
    ------
    ValueError
        If samples of this shape cannot go in, or the layer does not return a shape.
    """
    try:
        found: Any = layer.output_shape(shape)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(
            f"{_called(layer, shape)} raised {type(error).__name__}: {error}"
        ) from error
    if not is_shape(found):
        # A parameter may be the reason.
        layer.check_params()
        raise ValueError(
            f"{_called(layer, shape)} must return the shape of one sample, a tuple of ints, all "
            f"at least 1; got {found!r}."
        )
    return tuple(found)


def _called(layer: Layer, shape: Shape) -> str:
    return f"{type(layer).__name__}.output_shape({tuple(shape)})"


def is_shape(value: Any) -> bool:
    """Whether something is a sequence of sizes."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(each > 0 if type(each) is int else COUNT.accepts(each) for each in value)
