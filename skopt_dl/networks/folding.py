"""From what was trained to what predicts: scalings and normalisations become weights."""

from __future__ import annotations

from typing import Any

from skopt_dl.backends import Backend
from skopt_dl.layers.batch_norm import EPSILON
from skopt_dl.layers.input_scaling import factors
from skopt_dl.networks.network import DenseNetwork, Network

Array = Any


def fold(
    b: Backend, network: Network, params: Array, before: Array = None
) -> tuple[Network, Array]:
    """Return a network of weights and biases alone that predicts the same.

    Parameters
    ----------
    b : Backend
    network : Network
    params : array of shape (K, P + S)
        Parameters, followed by the kept statistics of batch normalisation.
    before : array of shape (K', P'), default=None
        What this has returned, to be written over if it is as large.

    Returns
    -------
    network : Network
        The given one, if it is plain.
    params : array of shape (K, P')
        The given ones, if the network is plain.
    """
    if network.is_plain or not isinstance(network, DenseNetwork):
        return network, params
    xp = b.xp
    plain = network.plain
    if before is not None and before.shape == (params.shape[0], plain.layout.size):
        folded = before
        folded[...] = params[:, : plain.layout.size]
    else:
        folded = xp.asarray(params[:, : plain.layout.size], copy=True)
    source, target = network.parts(params[:, : network.layout.size]), plain.parts(folded)
    if source.input_scale is not None:
        target.weights[0][...] = target.weights[0] * factors(source.input_scale)
    statistics = params[:, network.layout.size :]
    kept = [tensor.array for tensor in network.statistics.tensors(statistics)]
    for i, scale in enumerate(source.norms):
        mean, variance = kept[2 * i : 2 * i + 2]
        # Before the first batch there is nothing to normalise by.
        variance = xp.where(kept[-1] > 0, variance, xp.ones_like(variance))
        factor = (1.0 + scale) / xp.sqrt(variance + EPSILON)
        target.weights[i][...] = target.weights[i] * factor
        target.biases[i][...] = target.biases[i] - mean * factor
    return plain, folded
