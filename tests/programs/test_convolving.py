"""Products with patches: like those of all patches at once, and their gradients."""

import numpy as np
import pytest
from traced import Traced, check_gradient

from skopt_dl.programs import Geometry

GEOMETRIES = {
    "plain": Geometry((2, 3), (1, 1), ((0, 0), (0, 0))),
    "padded": Geometry((3, 3), (1, 1), ((1, 1), (1, 1))),
    "padded on one side": Geometry((2, 3), (1, 1), ((0, 1), (2, 0))),
    "padded by more than a window": Geometry((2, 2), (1, 1), ((2, 0), (0, 3))),
    "with strides": Geometry((3, 2), (2, 1), ((1, 0), (0, 1))),
}
# Many channels that come out of one that goes in: gradients are added up then.
CHANNELS = {"few": (2, 3), "many": (1, 9)}


def reference(geometry):
    def function(images, weights):
        around = [(0, 0)] * (images.ndim - 3) + [*geometry.padding, (0, 0)]
        padded = np.pad(images, around)
        (high, wide), (down, across) = geometry.size, geometry.stride
        seen = np.lib.stride_tricks.sliding_window_view(padded, (high, wide), axis=(-3, -2))
        seen = np.moveaxis(seen[..., ::down, ::across, :, :, :], -3, -1)
        rows = seen.reshape(*images.shape[:-4], -1, weights.shape[-2])
        return rows @ weights

    return function


@pytest.mark.parametrize("front", [(1,), (2, 2)], ids=str)
@pytest.mark.parametrize("n_shared", [False, True], ids=["own images", "shared images"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_products_with_patches_and_their_gradients(name, channels, n_shared, front):
    geometry, (n, n_out) = GEOMETRIES[name], CHANNELS[channels]
    rng = np.random.default_rng(0)
    shared = (1, *front[1:]) if n_shared else front
    # Two samples.
    images = rng.normal(size=(*shared, 2, 3, 4, n))
    weights = rng.normal(size=(*front, np.prod(geometry.size) * n, n_out))

    def function(xp, images, weights):
        return xp.convolve(images, weights, geometry)

    (found,) = Traced(function, [images, weights]).outputs()
    np.testing.assert_allclose(found, reference(geometry)(images, weights), rtol=0, atol=1e-13)
    check_gradient(function, [images, weights], [0, 1])
