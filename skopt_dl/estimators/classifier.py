"""The classifier."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skopt_dl._params import FRACTION, NOT_NEGATIVE, InstanceOf, Options
from skopt_dl.estimators.base import can_partial_fit
from skopt_dl.estimators.conduct import one_at_a_time
from skopt_dl.estimators.mlp import BaseMLP
from skopt_dl.estimators.targets import (
    MULTILABEL,
    JointEncoding,
    is_multilabel,
    label_encoding,
    sorted_classes,
)
from skopt_dl.networks import Loss
from skopt_dl.optimizers import AdamW
from skopt_dl.schedules import CosLog4


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier, trained by any optimizer.

    Binary, multiclass and multilabel targets, and several labels with classes of their own
    (multiclass-multioutput). Parameters that scikit-learn's ``MLPClassifier`` has
    mean the same here; what it calls ``solver``, and its ``learning_rate*``, ``momentum``,
    ``beta_*`` and ``epsilon`` parameters, belong to ``optimizer``.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence gives a linear model.
    activation : str, Activation or sequence of them, default="relu"
        ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``,
        ``"selu"``, ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"``, or a plugin's name; a
        sequence has one for each hidden layer.
    optimizer : str, Optimizer or Minimizer, default="adam"
        A name from `skopt_dl.available_optimizers`, or an object such as
        ``Adam(learning_rate=0.01)``. ``set_params(optimizer__learning_rate=0.01)``, and so every
        grid, works with both.
    loss : str or Loss, default="log_loss"
        ``"log_loss"``, ``"focal"``, an object such as ``Focal(gamma=1.0)``, or a plugin's name.
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
        Epochs without improvement after which training stops; ``math.inf`` runs all epochs.
    early_stopping : bool, default=False
        Hold out a validation set, stop when its accuracy no longer improves, and keep the weights
        of the best epoch.
    validation_fraction : float, default=0.1
        Share of the training data to hold out; classes keep their shares where there are enough.
    scoring : str, callable or None, default=None
        What ``early_stopping`` goes by: None for accuracy, ``"loss"`` for the loss, or any of
        scikit-learn's scorers, by name or as ``scorer(model, X_val, y_val)``. Recorded, too, where
        ``X_val`` is given.
    class_weight : dict, "balanced", list of dicts or None, default=None
        Weights of the classes in the loss, multiplied with ``sample_weight``; ``"balanced"`` gives
        all classes the same sum of weights. A list has one for each label of multilabel targets.
    dropout : float or sequence of float, default=0.0
        Share of hidden units that each step leaves out (Srivastava et al., 2014); a sequence has
        one for each hidden layer.
    batch_norm : bool, default=False
        Whether hidden layers normalise their inputs over the batch (Ioffe & Szegedy, 2015,
        arXiv:1502.03167). Predictions use statistics of about the last ten batches, which are
        folded into ``coefs_`` and ``intercepts_``.
    input_scaling : bool, default=False
        Whether each feature gets a factor that is learnt, so that irrelevant ones fade
        (Holzmüller et al., 2024, arXiv:2407.04491). Folded into ``coefs_``.
    init : str or Initializer, default="glorot_uniform"
        Initial weights: ``"glorot_uniform"``, ``"glorot_normal"``, ``"he_uniform"``,
        ``"he_normal"``, ``"lecun_uniform"``, ``"lecun_normal"``, ``"orthogonal"``, ``"uniform"``,
        ``"normal"``, ``"zeros"``; ``skopt_dl.networks.FromFitted(model)`` takes those of a fitted
        model.
    label_smoothing : float, default=0.0
        Share of each label that goes to all classes equally (Szegedy et al., 2016,
        arXiv:1512.00567).
    max_grad_norm : float or None, default=None
        Longer gradients are scaled down to this length (Pascanu et al., 2013, arXiv:1211.5063).
        Full-batch methods make no use of it, nor of `ema_decay`.
    ema_decay : float or None, default=None
        Predict with an exponential moving average of the weights, in which a step counts
        `ema_decay` times as much as the one after it (Morales-Brotons et al., 2024,
        arXiv:2411.18704). 0.99 averages about the last 100 steps.
    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether an epoch visits every sample once, or draws each batch independently.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the previous weights.
    device : {"auto", "cpu", "cuda"}, default="auto"
        ``"auto"`` is the CPU; with `verbose` it says so where there is a GPU. ``"cuda"``, the GPU
        through CuPy, has not been tried on one yet.
    dtype : {None, "float32", "float64"}, default=None
        Precision of weights and training; None follows `X`. float32 is about twice as fast.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, the validation set and the order of the samples.
    verbose : bool, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of such arrays
        A list has one for each output of multiclass-multioutput targets.
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
    validation_loss_curve_ : list of float or None
        Loss on the validation set after each epoch, where there is one; without penalty, dropout
        or label smoothing.
    validation_scores_ : list of float or None
        Accuracy on the validation set after each epoch, or what ``scoring`` says.
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
        scoring: Any = None,
        class_weight: Any = None,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        input_scaling: bool = False,
        init: Any = "glorot_uniform",
        label_smoothing: float = 0.0,
        max_grad_norm: float | None = None,
        ema_decay: float | None = None,
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
        self.scoring = scoring
        self.class_weight = class_weight
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.input_scaling = input_scaling
        self.init = init
        self.label_smoothing = label_smoothing
        self.max_grad_norm = max_grad_norm
        self.ema_decay = ema_decay
        self.sampling = sampling
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    constraints = {
        **BaseMLP.constraints,
        "class_weight": (
            Options((None, "balanced")),
            InstanceOf((dict, list), "a dict from class to weight, or a list of them"),
        ),
        "label_smoothing": FRACTION,
    }

    @classmethod
    def _tabular_params(cls, loss: Any = None) -> dict[str, Any]:
        return {
            "optimizer": AdamW(CosLog4(0.003), beta_2=0.95, weight_decay=0.1),
            "dropout": 0.3,
            "label_smoothing": 0.02,
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    @available_if(can_partial_fit)
    @one_at_a_time
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch, going on from where the model is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        classes : array-like of shape (n_classes,), default=None
            All labels that calls will bring; needed in the first call unless `y` is multilabel.
            For several outputs a list of such arrays.
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

    def predict_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), or list of such arrays
            In the order of ``classes_``; for multilabel targets, of each label; a list has one
            array for each output of multiclass-multioutput targets.
        """
        raw = self._raw_output(X)
        return self._each_as_input(self._labels.probabilities(raw), X)

    def predict_log_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict logarithms of probabilities, exact where these round to 0 or to 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), or list of such arrays
        """
        raw = self._raw_output(X)
        return self._each_as_input(self._labels.log_probabilities(raw), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of samples whose labels are all predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float
        """
        check_is_fitted(self, "coefs_")
        if isinstance(self._labels, JointEncoding):
            labels = y.toarray() if sparse.issparse(y) else np.asarray(y)
            correct = (self.predict(X) == labels).all(axis=1)
            return float(np.average(correct, weights=sample_weight))
        return super().score(X, y, sample_weight)

    def _each_as_input(self, result: Any, X: Any) -> Any:
        if isinstance(result, list):
            return [self._as_input(each, X) for each in result]
        return self._as_input(result, X)

    def _prepare_targets(
        self, y: Any, sample_weight: Any, reset: bool, incremental: bool, classes: Any
    ) -> None:
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                f"partial_fit does not know all of the data that class_weight="
                f"{self.class_weight!r} is about. Pass the weights: class_weight=dict(zip(classes, "
                "sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, "
                "y=y)))."
            )
        if reset:
            if incremental and classes is None and not is_multilabel(y):
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: all the labels that "
                    "later calls will bring, classes=numpy.unique(y_all)."
                )
            self._labels = label_encoding(y, classes)
            self.classes_ = self._labels.classes
        elif self._labels.target_type == MULTILABEL:
            return
        elif classes is not None and not _same(self.classes_, sorted_classes(classes)):
            raise ValueError(
                f"classes={sorted_classes(classes)} differs from that of the first call to "
                f"partial_fit, {self.classes_}."
            )
        elif not incremental:
            found = label_encoding(y).classes
            if not _same(found, self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {found}."
                )

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        return self._labels.encode(y, dtype)

    def _loss_form(self, loss: Loss) -> Loss:
        return self._labels.loss_form(loss)

    def _weigh(self, y: Any, sample_weight: np.ndarray | None, dtype: Any) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        dense = y.toarray() if sparse.issparse(y) else y
        given = self._class_weights()
        with np.errstate(over="ignore"):
            weight = compute_sample_weight(given, dense).astype(dtype)[:, None]
            if sample_weight is not None:
                weight = sample_weight * weight
            total = weight.sum()
        if not np.isfinite(total):
            raise ValueError(
                f"class_weight={self.class_weight!r} makes the weights of the samples, all "
                f"together, larger than {weight.dtype} can be. Divide them by the same number."
            )
        if not total > 0:
            raise ValueError(
                f"class_weight={self.class_weight!r} makes the weights of all samples zero: "
                "nothing is to be learnt. Give a class that y has a weight above 0."
            )
        return weight

    def _class_weights(self) -> Any:
        """`class_weight` with a weight for every class: 1 for those that it does not name."""
        given = self.class_weight
        if isinstance(given, str):
            return given
        if self._labels.target_type == MULTILABEL:
            classes = [np.array([0, 1])] * self._labels.n_outputs
        else:
            classes = self.classes_ if isinstance(self.classes_, list) else [self.classes_]
        weights = given if isinstance(given, list) else [given] * len(classes)
        if not all(isinstance(each, dict) for each in weights):
            example = dict.fromkeys(classes[0].tolist()[:3], 1.0)
            raise ValueError(
                "class_weight must be a dict from class to weight, such as "
                f"{example}, or 'balanced', or a list of dicts where y has several columns; got "
                f"{given!r}."
            )
        if len(weights) != len(classes):
            raise ValueError(
                f"class_weight has {len(weights)} dicts for the {len(classes)} labels of y: give "
                "one for each."
            )
        complete = [_complete(*pair) for pair in zip(weights, classes, strict=True)]
        return complete if len(complete) > 1 else complete[0]

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return self._labels.strata(y)

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        if not np.isfinite(raw).all():
            return math.nan
        return float(np.average(self._labels.correct(raw, y), weights=sample_weight))


def _complete(weights: dict[Any, float], classes: np.ndarray) -> dict[Any, float]:
    """Weights of all classes."""
    known = classes.tolist()
    for label, weight in weights.items():
        if label not in known:
            raise ValueError(f"class_weight names the class {label!r}; y has {known}.")
        if not NOT_NEGATIVE.accepts(weight):
            raise ValueError(
                f"class_weight of {label!r} must be {NOT_NEGATIVE}: finite and not negative; got "
                f"{weight!r}."
            )
    return dict.fromkeys(known, 1.0) | weights


def _same(a: Any, b: Any) -> bool:
    """Whether classes, or lists of them, are equal."""
    if isinstance(a, list) != isinstance(b, list):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(np.array_equal, a, b))
    return np.array_equal(a, b)
