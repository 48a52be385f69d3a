from itertools import pairwise

import numpy as np
import pytest

from skopt_dl.layers.activations import ReLU
from skopt_dl.networks import DenseNetwork, Layout
from skopt_dl.networks.losses import SoftmaxLogLoss

LAYOUT = Layout.from_shapes(
    [("a", "input", (2, 3)), ("b", "bias", (1, 3)), ("c", "output", (3, 1))]
)


def test_tensors_follow_one_another_without_gaps():
    assert LAYOUT.size == 6 + 3 + 3
    tensors = LAYOUT.tensors(np.arange(12.0)[None])
    assert [(name, role) for name, role, _ in tensors] == [
        ("a", "input"),
        ("b", "bias"),
        ("c", "output"),
    ]
    np.testing.assert_array_equal(tensors[0].array, [[[0, 1, 2], [3, 4, 5]]])
    np.testing.assert_array_equal(tensors[1].array, [[[6, 7, 8]]])
    np.testing.assert_array_equal(tensors[2].array, [[[9], [10], [11]]])


def test_writing_to_a_view_writes_the_buffer():
    buffer = np.zeros((4, LAYOUT.size), dtype=np.float32)
    for i, tensor in enumerate(LAYOUT.tensors(buffer)):
        tensor.array[...] = i + 1
    np.testing.assert_array_equal(buffer, [[1] * 6 + [2] * 3 + [3] * 3] * 4)


def test_rows_of_a_part_of_the_stack_are_views_too():
    buffer = np.zeros((4, LAYOUT.size))
    LAYOUT.tensors(buffer[1:3])[0].array[...] = 1.0
    np.testing.assert_array_equal(buffer.sum(axis=1), [0, 6, 6, 0])


def test_unknown_role_is_named():
    with pytest.raises(ValueError, match="'w' has role 'weird'; allowed are"):
        Layout.from_shapes([("w", "weird", (1, 1))])


def test_empty_layout_has_no_parameters():
    assert Layout(()).size == 0
    assert Layout(()).tensors(np.zeros((2, 0))) == []


@pytest.mark.parametrize(
    ("layer_sizes", "roles"),
    [
        ([5, 2], ["output"]),
        ([5, 4, 2], ["input", "output"]),
        ([5, 4, 3, 2], ["input", "hidden", "output"]),
        ([5, 4, 3, 3, 2], ["input", "hidden", "hidden", "output"]),
    ],
)
def test_network_names_the_role_of_each_matrix(layer_sizes, roles):
    network = DenseNetwork(layer_sizes, [ReLU()] * (len(layer_sizes) - 2), SoftmaxLogLoss())
    weights, biases = network.layout.specs[: len(roles)], network.layout.specs[len(roles) :]
    assert [spec.role for spec in weights] == roles
    assert [spec.role for spec in biases] == ["bias"] * len(roles)
    assert [spec.shape for spec in weights] == list(pairwise(layer_sizes))
    assert [spec.shape for spec in biases] == [(1, n_out) for n_out in layer_sizes[1:]]
    assert network.n_weights == biases[0].offset
    assert network.layout.size == network.n_weights + sum(layer_sizes[1:])
