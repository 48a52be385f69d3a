"""Layers, traced and run on given arrays: what comes out, and gradients, for each model."""

import numpy as np
import scipy.sparse

from skopt_dl.backends import get_backend
from skopt_dl.layers import Flatten, Layer, Parameter
from skopt_dl.networks import DensePool, Loss, Network, NetworkObjective, SparsePool, TargetPool
from skopt_dl.networks.passes import case_of, prediction_program
from skopt_dl.objectives import Block
from skopt_dl.programs import Memory, engine_of

NUMPY = get_backend("cpu")


class Given(Layer):
    """Samples that are parameters of each model, whatever comes in: so they have a gradient."""

    def __init__(self, shape):
        self.shape = shape

    def tensors(self, shape):
        return [Parameter("given", self.shape, "bias")]

    def output_shape(self, shape):
        return self.shape[1:]

    def forward(self, x, tensors, run):
        return tensors.given


class Linear(Loss):
    """A loss whose gradient is the targets."""

    def value(self, xp, raw, y):
        return xp.sum(raw * y, axis=-1)

    def gradient(self, xp, raw, y):
        return raw * 0.0 + y


class Traced:
    """A list of layers as the network of K models, and the samples that it gets.

    Parameters
    ----------
    layers : list of Layer
    x : ndarray of shape (n_samples, *shape)
    given : bool, default=False
        Whether the samples are parameters too, named ``given_0``.
    """

    def __init__(self, layers, x, given=False, b=NUMPY):
        self.b, self.x, self.dtype = b, x, x.dtype
        first, shape = [], x.shape[1:]
        if given:
            first, shape = [Given(x.shape)], (1,)
            self.x = np.zeros((len(x), 1), x.dtype)
        self.network = Network([*first, *layers, Flatten()], shape, Linear())
        shapes = [*first, *layers]
        self.shape = self.network.input_shape
        for layer in shapes:
            self.shape = layer.output_shape(self.shape)

    def params(self, named, n_models=1):
        """Rows with tensors by their names in the layout; the same in all models."""
        row = np.zeros((n_models, self.network.layout.size), self.dtype)
        for tensor in self.network.layout.tensors(row):
            tensor.array[...] = named[tensor.name]
        return row

    def random_params(self, n_models=1, seed=0):
        """Row k does not depend on K."""
        rows = [
            np.random.default_rng([seed, k]).normal(0.0, 0.5, self.network.layout.size)
            for k in range(n_models)
        ]
        return np.stack(rows).astype(self.dtype)

    def pool(self, sparse=False):
        rows = self.x.reshape(len(self.x), -1)
        if sparse:
            return SparsePool(self.b.sparse(scipy.sparse.csr_array(rows)))
        return DensePool(self.b, self.b.asarray(rows))

    def outputs(self, params, sparse=False, n_rows=None):
        """What comes out in predictions, ``(K, n_samples, *shape)``."""
        n_rows = len(self.x)
        case = case_of(self.network, len(params), n_rows, self.dtype)
        params = self.b.asarray(params)
        n_params = self.network.layout.size
        arrays = {"params": params[:, :n_params], "statistics": params[:, n_params:]}
        (rows,) = self.pool(sparse).batches(Block(slice(0, n_rows), (n_rows,)))
        raw = self.b.empty((len(params), n_rows, self.network.n_outputs), like=params)
        program = prediction_program(case)
        memory = Memory(self.b, params)
        bound = engine_of(self.b).bind(self.b, program, arrays, memory)
        for call in bound.calls(x=rows, raw=raw):
            call()
        return self.b.to_numpy(raw).reshape(len(params), n_rows, *self.shape)

    def objective(self, n_models, delta, sparse=False, **options):
        """The sum of what comes out times `delta`, ``(n_samples, …)``, over the samples' number."""
        targets = np.asarray(delta, self.dtype).reshape(len(self.x), -1)
        pool = TargetPool(self.b, self.b.asarray(targets))
        return NetworkObjective(
            self.b, self.network, self.pool(sparse), pool, n_models=n_models, **options
        )

    def gradients(self, params, delta, sparse=False):
        """The gradients at the parameters by name, ``(K, …)``, where `delta` arrives."""
        objective = self.objective(len(params), delta, sparse)
        _, grad = objective.value_and_grad(self.b.asarray(params))
        grad = self.b.to_numpy(grad) * len(self.x)
        return {tensor.name: tensor.array for tensor in self.network.layout.tensors(grad)}
