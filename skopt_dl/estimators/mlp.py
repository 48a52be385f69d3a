"""What the multilayer perceptrons share: layers by their sizes, weights as lists of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skopt_dl._params import BOOLEAN, COUNT, FRACTION
from skopt_dl.backends import get_backend, one_blas_thread
from skopt_dl.estimators.base import BaseNeuralNet
from skopt_dl.estimators.export import to_sklearn
from skopt_dl.estimators.tabular import TabularPipeline, UpTo, on_class_only, tabular_pipeline
from skopt_dl.layers import Activation
from skopt_dl.networks import DenseNetwork, Loss, Network, fold, hidden_outputs


def _is_sequence(value: Any) -> bool:
    """Whether a value has an order, and still has it when it is read again."""
    unordered = (str, bytes, bytearray, Mapping, Set, Iterator)
    return bool(np.iterable(value)) and not isinstance(value, unordered)


class BaseMLP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNeuralNet):
    """Dense layers; see `MLPClassifier` and `MLPRegressor`."""

    constraints = {
        **BaseNeuralNet.constraints,
        "batch_norm": BOOLEAN,
        "input_scaling": BOOLEAN,
    }
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if self.dtype is None:
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        else:
            tags.transformer_tags.preserves_dtype = [str(self.dtype)]
        return tags

    @on_class_only
    def tabular(cls, **params: Any) -> TabularPipeline:  # noqa: N805
        """Make a model for raw tables: columns of any scale, skewed, some of them irrelevant.

        Scales columns robustly and bends outliers (`SmoothRobustScaler`), gives each a factor that
        is learnt, and trains a fixed number of epochs at a rate that rises and falls four times, as
        RealMLP does (Holzmüller et al., 2024, arXiv:2407.04491); other settings were chosen on 24
        generated tables. A regressor standardises its target, stops early and averages its
        weights; a classifier has dropout, weight decay and a little label smoothing. All columns
        are numbers: encode others first, in a ``ColumnTransformer``.

        Parameters
        ----------
        **params
            Parameters of the model that are to differ, nested ones included.

        Returns
        -------
        model : TabularPipeline
            ``SmoothRobustScaler``, ``SimpleImputer`` for missing values, and the model. A
            scikit-learn ``Pipeline`` whose ``fit`` takes ``sample_weight``, ``X_val`` and ``y_val``
            as the model's does.

        Raises
        ------
        AttributeError
            If called on a model instead of the class: its parameters would be lost.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.model_selection import train_test_split
        >>> from skopt_dl import MLPClassifier
        >>> X, X_test, y, y_test = train_test_split(*load_wine(return_X_y=True), random_state=0)
        >>> model = MLPClassifier.tabular(random_state=0).fit(X, y)
        >>> model.score(X_test, y_test) > 0.9
        True
        """
        defaults = {
            "hidden_layer_sizes": (128, 128),
            "activation": "mish",
            "alpha": 0.0,
            "batch_size": UpTo(64),
            "max_iter": 100,
            "tol": 0.0,
            "n_iter_no_change": math.inf,
            "input_scaling": True,
            "dtype": "float32",
        }
        model = cls(**(defaults | cls._tabular_params(params.get("loss")))).set_params(**params)
        return tabular_pipeline(model)

    @classmethod
    def _tabular_params(cls, loss: Any = None) -> dict[str, Any]:
        """What `tabular` sets for this task, and for this loss if one was given."""
        raise NotImplementedError

    # The network

    def _check_network(self) -> None:
        hidden = self._hidden_layer_sizes()
        self._fitted_activations = self._activations(hidden)
        self._dropout(hidden)

    def _make_network(self, X: Any, n_outputs: int, loss: Loss) -> DenseNetwork:
        hidden = self._hidden_layer_sizes()
        return DenseNetwork(
            [X.shape[1], *hidden, n_outputs],
            self._fitted_activations,
            loss,
            batch_norm=self.batch_norm,
            input_scaling=self.input_scaling,
            dropout=self._dropout(hidden),
        )

    def _describe_network(self) -> str:
        return f"hidden_layer_sizes={self.hidden_layer_sizes!r}"

    def _hidden_layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if _is_sequence(sizes) else [sizes]
        if not all(COUNT.accepts(size) for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes of {type(self).__name__} must be an int or a sequence of "
                f"ints, all at least 1; got {self.hidden_layer_sizes!r}."
            )
        return [int(size) for size in sizes]

    def _activations(self, hidden: Sequence[int]) -> list[Activation]:
        given = self.activation
        if isinstance(given, list | tuple):
            self._check_length("activation", given, hidden)
            return [self._component("activation", one) for one in given]
        return [self._component("activation")] * len(hidden)

    def _dropout(self, hidden: Sequence[int]) -> list[float]:
        given = self.dropout
        several = _is_sequence(given)
        rates = list(given) if several else [given] * len(hidden)
        if not all(FRACTION.accepts(rate) for rate in (rates if several else [given])):
            raise ValueError(
                f"dropout of {type(self).__name__} must be {FRACTION}, or a sequence of them with "
                f"one for each hidden layer; got {given!r}."
            )
        self._check_length("dropout", rates, hidden)
        return [float(rate) for rate in rates]

    def _check_length(self, name: str, given: Sequence[Any], hidden: Sequence[int]) -> None:
        if len(given) != len(hidden):
            raise ValueError(
                f"{name} of {type(self).__name__} has {len(given)} values for the {len(hidden)} "
                f"hidden layers of hidden_layer_sizes={self.hidden_layer_sizes!r}: give one value, "
                "or one for each hidden layer."
            )

    # Weights

    def _fitted(self, network: Network, weights: np.ndarray, dtype: Any) -> dict[str, Any]:
        assert isinstance(network, DenseNetwork)
        plain, folded = fold(get_backend("cpu"), network, weights[None])
        assert isinstance(plain, DenseNetwork)
        coefs, intercepts = self._cut(plain, folded.astype(dtype, copy=False)[0])
        return {
            "coefs_": coefs,
            "intercepts_": intercepts,
            "n_layers_": len(network.layer_sizes),
            # What to train on from, where it is not what predicts.
            "_trained": weights if self._has_own_target_units or not network.is_plain else None,
        }

    def _kind_of_weights(self, network: Network) -> dict[str, bool]:
        """What a network has besides plain layers: weights are alike only where this is."""
        assert isinstance(network, DenseNetwork)
        return {"batch_norm": network.batch_norm, "input_scaling": network.input_scaling}

    @property
    def _fitted_dtype(self) -> Any:
        return self.coefs_[0].dtype

    def _cut(
        self, network: DenseNetwork, params: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Cut the parameters of a plain network, ``(P,)``, into weights and biases."""
        parts = network.parts(params[None])
        coefs = [weights[0] for weights in parts.weights]
        intercepts = [bias[0, 0] for bias in parts.biases]
        coefs[-1], intercepts[-1] = self._in_target_units(coefs[-1], intercepts[-1])
        return coefs, intercepts

    def _scale_last_layer(self, network: Network, params: np.ndarray) -> None:
        assert isinstance(network, DenseNetwork)
        parts = network.parts(params[None, : network.layout.size])
        self._to_training_units(parts.weights[-1], parts.biases[-1])

    def _pack(self, network: Network, dtype: Any) -> np.ndarray:
        params = np.empty(network.layout.size, dtype=dtype)
        tensors = network.layout.tensors(params[None])
        fitted = [*self.coefs_, *self.intercepts_]
        shapes = [tensor.array.shape[1:] for tensor in tensors]
        given = [np.atleast_2d(weights).shape for weights in fitted]
        if shapes != given:
            raise ValueError(
                f"The fitted weights have shapes {given}; hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} and this data need {shapes}. A warm start and "
                "partial_fit need the layers, features and targets of the first fit."
            )
        for tensor, weights in zip(tensors, fitted, strict=True):
            tensor.array[0] = weights
        return params

    def _snapshot(self, params: np.ndarray, X: Any, raw: np.ndarray) -> Self:
        """A fitted copy with these parameters of a plain network, that knows its raw output."""
        model = self._copy()
        model.__dict__.pop("feature_names_in_", None)
        sizes = [X.shape[1], *self._hidden_layer_sizes(), raw.shape[1]]
        network = DenseNetwork(sizes, self._fitted_activations, self._fitted_loss)
        model.coefs_, model.intercepts_ = self._cut(network, params)
        model._known_output = X, self._in_target_units(raw)[0]
        return model

    def _plain_network(self) -> DenseNetwork:
        """The network that predicts: of weights, biases and activations alone."""
        check_is_fitted(self, "coefs_")
        sizes = [self.coefs_[0].shape[0], *(weights.shape[1] for weights in self.coefs_)]
        return DenseNetwork(sizes, self._fitted_activations, self._fitted_loss)

    def _predicted_units(self, raw: np.ndarray) -> np.ndarray:
        # The last weights and biases are in the units of the user's targets.
        return raw

    # What else a fitted model gives

    def transform(self, X: Any) -> Any:
        """The features that the network has learnt: what its output layer gets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_units)
            Activations of the last hidden layer; without hidden layers, `X`.
        """
        activations = self.hidden_activations(X)
        return activations[-1] if activations else self._as_input(self._validated(X), X)

    def hidden_activations(self, X: Any) -> list[np.ndarray]:
        """Activations of all hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        activations : list of ndarray of shape (n_samples, n_units)
            One for each hidden layer.
        """
        b, network, params, pool = self._prediction_inputs(X)
        if not self._fitted_activations:
            return []
        with b.quiet(), one_blas_thread():
            outputs = hidden_outputs(b, network, params, pool)
        return [self._as_input(b.to_numpy(output[0, ...]), X) for output in outputs]

    def to_sklearn(self) -> Any:
        """Turn the fitted model into one of ``sklearn.neural_network``, for tools that know those.

        Returns
        -------
        model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
            A fitted model with equal predictions and histories, which can be trained on.
            Parameters that it lacks are gone. With SGD, momentum, Nesterov's and Adam,
            ``partial_fit`` goes on with the state of the optimizer. Of other optimizers, and of
            rates that scikit-learn does not know, nothing is left: ``solver`` and what belongs to
            it have their defaults.

        Raises
        ------
        ValueError
            If scikit-learn has no such activation, loss or layer: the activation has to be
            ``"identity"``, ``"logistic"``, ``"tanh"`` or ``"relu"`` in all layers, the loss
            ``"log_loss"``, ``"squared_error"`` or ``"poisson"``.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        See Also
        --------
        skopt_dl.from_sklearn : The way back.

        Notes
        -----
        A classifier that was trained on one class gets scikit-learn's second column of
        probabilities.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skopt_dl import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> fitted = MLPClassifier(optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, y)
        >>> model = fitted.to_sklearn()
        >>> type(model).__module__.partition(".")[0], model.solver
        ('sklearn', 'lbfgs')
        >>> model.score(X, y) == fitted.score(X, y)
        True
        """
        return to_sklearn(self)

    @property
    def _n_features_out(self) -> int:
        return self.coefs_[-1].shape[0]
