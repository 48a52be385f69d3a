"""The classifier."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target

from skopt_dl.estimators.base import BaseMLP, can_partial_fit
from skopt_dl.estimators.targets import LabelEncoding

_MULTILABEL = "multilabel-indicator"


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier, trained by any optimizer.

    Binary, multiclass and multilabel targets. Parameters that scikit-learn's ``MLPClassifier`` has
    mean the same here; what it calls ``solver``, and its ``learning_rate*``, ``momentum``,
    ``beta_*`` and ``epsilon`` parameters, belong to ``optimizer``.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence gives a linear model.
    activation : str or Activation, default="relu"
        ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``,
        ``"selu"``, ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"``, or a plugin's name.
    optimizer : str, Optimizer or Minimizer, default="adam"
        A name from `skopt_dl.available_optimizers`, or an object such as
        ``Adam(learning_rate=0.01)``. ``set_params(optimizer__learning_rate=0.01)``, and so every
        grid, works with both.
    loss : str or Loss, default="log_loss"
    alpha : float, default=1e-4
        Strength of the L2 penalty on weights, divided by the samples in a batch.
    batch_size : int, "auto" or "full", default="auto"
        Samples in a mini-batch; ``"auto"`` is ``min(200, n_samples)``, ``"full"`` all of them.
    max_iter : int, default=200
        Most epochs; for full-batch methods, iterations.
    shuffle : bool, default=True
        Whether to draw a new order of the samples each epoch.
    tol : float, default=1e-4
        What counts as an improvement; for full-batch methods, the gradient component to stop at.
    n_iter_no_change : int, default=10
        Epochs without improvement after which training stops.
    early_stopping : bool, default=False
        Hold out a validation set, stop when its accuracy no longer improves, and keep the weights
        of the best epoch.
    validation_fraction : float, default=0.1
        Share of the training data to hold out; classes keep their shares where there are enough.
    init : str or Initializer, default="glorot_uniform"
        Initial weights; ``skopt_dl.networks.FromFitted(model)`` takes those of a fitted model.
    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether an epoch visits every sample once, or draws each batch independently.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the previous weights.
    device : {"auto", "cpu", "cuda"}, default="auto"
        ``"auto"`` takes the GPU where CuPy finds one and the work is large enough to gain from it.
    dtype : {None, "float32", "float64"}, default=None
        Precision of weights and training; None follows `X`. float32 is about twice as fast.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, the validation set and the order of the samples.
    verbose : bool, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    history_ : dict of str to list of float
        Columns ``loss``, ``validation_loss``, ``validation_score``, ``learning_rate``,
        ``grad_norm`` (of the epoch's first batch) and ``seconds``, where they apply; one value an
        epoch, over all fits of a warm start.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch.
    best_loss_ : float or None
        Lowest loss; None with ``early_stopping``.
    validation_scores_ : list of float or None
        Accuracy on the validation set after each epoch, with ``early_stopping``.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs, or iterations, of the last fit.
    n_steps_ : int
        Updates of the weights so far.
    t_ : int
        Training samples seen so far.
    n_layers_, n_outputs_ : int
    out_activation_ : str
        ``"softmax"`` or ``"logistic"``.
    optimizer_ : Optimizer or Minimizer
        The optimizer that was used.
    device_ : str
        Where the model was trained.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where `X` has column names.

    See Also
    --------
    MLPRegressor : The same for regression.
    skopt_dl.make_optimizer : Creates an optimizer by name.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skopt_dl import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(20, optimizer="lbfgs", random_state=0)
    >>> model = make_pipeline(StandardScaler(), model).fit(X, y)
    >>> model.predict(X[:3])
    array([0, 0, 0])
    """

    _task = "classification"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        optimizer: Any = "adam",
        loss: Any = "log_loss",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        init: Any = "glorot_uniform",
        sampling: str = "shuffle",
        warm_start: bool = False,
        device: str = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.loss = loss
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.init = init
        self.sampling = sampling
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @available_if(can_partial_fit)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch, going on from where the model is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        classes : array-like of shape (n_classes,), default=None
            All labels that calls will bring; needed in the first call unless `y` is multilabel.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the first call lacks `classes`, or `y` has labels that are not among them.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        raw = self._raw_output(X)
        return self._as_input(self._labels.decode(raw), X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; for multilabel targets, of each label.
        """
        raw = self._raw_output(X)
        if self._labels.target_type == _MULTILABEL:
            return self._as_input(expit(raw), X)
        return self._as_input(softmax(self._class_scores(raw), axis=1), X)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of probabilities, without rounding small ones to zero first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        raw = self._raw_output(X)
        if self._labels.target_type == _MULTILABEL:
            return self._as_input(log_expit(raw), X)
        return self._as_input(log_softmax(self._class_scores(raw), axis=1), X)

    def _class_scores(self, raw: np.ndarray) -> np.ndarray:
        """One column a class; a binary model's single output is the second's, against 0."""
        if self._labels.target_type == "multiclass":
            return raw
        return np.hstack([np.zeros_like(raw), raw])[:, : len(self.classes_)]

    def _prepare_targets(self, y: Any, reset: bool, incremental: bool, classes: Any) -> None:
        multilabel = type_of_target(y) == _MULTILABEL
        if reset:
            if incremental and classes is None and not multilabel:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: all the labels that "
                    "later calls will bring, classes=numpy.unique(y_all)."
                )
            self._labels = LabelEncoding(y if classes is None or multilabel else classes)
            self.classes_ = self._labels.classes
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"classes={np.unique(classes)} differs from that of the first call to "
                f"partial_fit, {self.classes_}."
            )
        elif not incremental and not multilabel:
            found = np.unique(y)
            if not np.array_equal(found, self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {found}."
                )

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        return self._labels.encode(y, dtype)

    def _target_type(self) -> str:
        return self._labels.target_type

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        if self._labels.target_type == _MULTILABEL:
            return None
        return y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        if not np.isfinite(raw).all():
            return math.nan
        if self._labels.target_type == "multiclass":
            correct = raw.argmax(axis=1) == y.argmax(axis=1)
        else:
            correct = ((raw > 0) == (y > 0)).all(axis=1)
        return float(np.average(correct, weights=sample_weight))
