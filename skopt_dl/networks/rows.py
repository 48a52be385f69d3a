"""A batch of samples as the left operand of a layer's products, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from skopt_dl.backends import Backend

Array = Any


class DenseRows:
    """Rows in one array, ``(R, n_rows, n)``: of each model, of all models, or of runs of models.

    Parameters
    ----------
    b : Backend
    array : array of shape (R, n_rows, n)
    runs : sequence of R slice, default=()
        The models that share each of the rows, where it is neither one nor all.
    """

    def __init__(self, b: Backend, array: Array, runs: Sequence[slice] = ()):
        self._b = b
        self.array = array
        self._runs = runs

    def n_models(self, n_models: int) -> int:
        """How many models the rows are different for, out of so many."""
        return n_models if self._runs else self.array.shape[0]

    @property
    def values(self) -> Array | None:
        """The rows, ``(K or 1, n_rows, n)``; None where `write` has to make them."""
        return None if self._runs else self.array

    def write(self, out: Array) -> None:
        """Write each model's rows, ``(K, n_rows, n)``."""
        for i, run in enumerate(self._runs):
            self._b.copy(out[run, :, :], self.array[i : i + 1, :, :])

    def product(self, weights: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product with ``weights``, ``(K, n, n_out)``."""
        return self._for_runs(self._b.product, weights, out)

    def transposed_product(self, delta: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        return self._for_runs(self._b.product_tn, delta, out)

    def _for_runs(
        self, product: Callable[..., Callable[[], Any]], right: Array, out: Array
    ) -> Callable[[], Any]:
        if not self._runs:
            return product(self.array, right, out)
        products = [
            product(self.array[i : i + 1, :, :], right[run, :, :], out[run, :, :])
            for i, run in enumerate(self._runs)
        ]

        def call() -> None:
            for each in products:
                each()

        return call


class SparseRows:
    """Rows in a CSR matrix for each model, or one shared by all: products skip the zeros.

    Parameters
    ----------
    rows : slice
        Which of the rows of `blocks` they are.
    blocks : sequence of matrix
        May be others from one time to the next, which what was prepared takes as they are.
    """

    values = None

    def __init__(self, rows: slice, blocks: Sequence[Any]):
        self.rows = rows
        self.hold(blocks)

    def hold(self, blocks: Sequence[Any]) -> None:
        """Be the rows of other matrices, as many as before."""
        self.blocks = blocks
        self._cut: list[Any] = []

    @property
    def _matrices(self) -> list[Any]:
        if not self._cut:
            distinct = {id(block): block for block in self.blocks}
            cut = {
                key: block
                if block.shape[0] == self.rows.stop - self.rows.start
                else block[self.rows]
                for key, block in distinct.items()
            }
            self._cut = [cut[id(block)] for block in self.blocks]
        return self._cut

    def n_models(self, n_models: int) -> int:
        """How many models the rows are different for, out of so many."""
        return len(self.blocks)

    def write(self, out: Array) -> None:
        """Write the rows with their zeros, ``(K or 1, n_rows, n)``."""
        for k, matrix in enumerate(self._matrices):
            out[k, ...] = matrix.toarray()

    def product(self, weights: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product with ``weights``, ``(K, n, n_out)``."""
        return partial(self._multiply, weights, out)

    def transposed_product(self, delta: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        return partial(self._multiply, delta, out, is_transposed=True)

    def _multiply(self, right: Array, out: Array, is_transposed: bool = False) -> None:
        matrices = self._matrices
        if is_transposed:
            matrices = [matrix.T for matrix in matrices]
        for k in range(out.shape[0]):
            out[k] = matrices[k % len(matrices)] @ right[k]
