"""Estimators of any network."""

from __future__ import annotations

from typing import Any

from skopt_dl.estimators.classification import Classification
from skopt_dl.estimators.neural_net import BaseAnyNetwork
from skopt_dl.estimators.regression import Regression
from skopt_dl.layers import Dense

DEFAULT = (Dense(100), "relu")


class NeuralNetClassifier(Classification, BaseAnyNetwork):
    """Classifier with a network of any layers, trained by any optimizer.

    Images, sequences, branches: whatever layers can be put together. All else is as in
    `MLPClassifier`: any optimizer by name, grids over ``optimizer__learning_rate`` and
    ``network__0__n_units``, stacked searches, callbacks.

    Parameters
    ----------
    network : sequence of Layer and str, str, callable or Network, default=(Dense(100), "relu")
        Layers and names of activations, one after the other, to which the output layer is added:
        ``[Conv2d(16, 3), "relu", MaxPool2d(2), Flatten(), Dense(64), "relu"]``. Or the name of a
        network, a function ``(input_shape, n_outputs)`` that returns layers, or a `Network`.
    input_shape : tuple of int or None, default=None
        The shape of one sample, where rows of a table are to be taken as images or sequences:
        ``(height, width, channels)``, ``(length, units)``. None means as `X` has it: samples of
        arrays of more than two dimensions are taken as they are.
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
    init : str or Initializer, default="glorot_uniform"
        Initial weights: ``"glorot_uniform"``, ``"glorot_normal"``, ``"he_uniform"``,
        ``"he_normal"``, ``"lecun_uniform"``, ``"lecun_normal"``, ``"orthogonal"``, ``"uniform"``,
        ``"normal"``, ``"zeros"``; and plugins' names.
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
    network_ : Network
        The layers as fitted to the data.
    params_ : ndarray of shape (n_params,)
        Weights, biases and kept statistics in one row.
    tensors_ : dict of str to ndarray
        The weights by name, views of ``params_``.
    n_outputs_ : int
    classes_ : ndarray of shape (n_classes,), or list of such arrays
        A list has one for each output of multiclass-multioutput targets.
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
    out_activation_ : str
        ``"softmax"`` or ``"logistic"``.
    optimizer_ : Optimizer or Minimizer
        The optimizer that was used.
    device_ : str
        Where the model was trained.
    engine_ : str
        What ran it: ``"numpy"``, ``"native"`` where skopt-dl-native is installed, or another.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where `X` has column names.

    See Also
    --------
    MLPClassifier : Dense layers alone, as in scikit-learn.
    skopt_dl.layers : The layers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skopt_dl import NeuralNetClassifier
    >>> from skopt_dl.layers import Conv2d, Flatten, MaxPool2d
    >>> from skopt_dl.optimizers import Adam
    >>> X, y = load_digits(return_X_y=True)
    >>> layers = [Conv2d(8, 3), "relu", MaxPool2d(2), Flatten()]
    >>> options = {"optimizer": Adam(0.01), "tol": 0.01, "random_state": 0}
    >>> model = NeuralNetClassifier(layers, input_shape=(8, 8, 1), **options)
    >>> model.fit(X[:500] / 16, y[:500]).score(X[500:] / 16, y[500:]) > 0.85
    True
    """

    constraints = {**BaseAnyNetwork.constraints, **Classification.constraints}

    def __init__(
        self,
        network: Any = DEFAULT,
        *,
        input_shape: Any = None,
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
        self.network = network
        self.input_shape = input_shape
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


class NeuralNetRegressor(Regression, BaseAnyNetwork):
    """Regressor with a network of any layers, trained by any optimizer.

    Images, sequences, branches: whatever layers can be put together. All else is as in
    `MLPRegressor`: any optimizer by name, grids over ``optimizer__learning_rate`` and
    ``network__0__n_units``, stacked searches, callbacks.

    Parameters
    ----------
    network : sequence of Layer and str, str, callable or Network, default=(Dense(100), "relu")
        Layers and names of activations, one after the other, to which the output layer is added:
        ``[Conv2d(16, 3), "relu", MaxPool2d(2), Flatten(), Dense(64), "relu"]``. Or the name of a
        network, a function ``(input_shape, n_outputs)`` that returns layers, or a `Network`.
    input_shape : tuple of int or None, default=None
        The shape of one sample, where rows of a table are to be taken as images or sequences:
        ``(height, width, channels)``, ``(length, units)``. None means as `X` has it: samples of
        arrays of more than two dimensions are taken as they are.
    optimizer : str, Optimizer or Minimizer, default="adam"
        A name from `skopt_dl.available_optimizers`, or an object such as
        ``Adam(learning_rate=0.01)``. ``set_params(optimizer__learning_rate=0.01)``, and so every
        grid, works with both.
    loss : str or Loss, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"log_cosh"``, ``"poisson"``,
        ``"gamma"``, ``"quantile"``, an object such as ``Quantile(0.9)``, or a plugin's name.
        ``loss__quantile=0.9`` works too.
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
        Hold out a validation set, stop when its R² no longer improves, and keep the weights
        of the best epoch.
    validation_fraction : float, default=0.1
        Share of the training data to hold out.
    scoring : str, callable or None, default=None
        What ``early_stopping`` goes by: None for R², ``"loss"`` for the loss, or any of
        scikit-learn's scorers, by name or as ``scorer(model, X_val, y_val)``. Recorded, too, where
        ``X_val`` is given.
    standardize_target : bool, default=False
        Whether to train on targets with mean 0 and variance 1. Predictions, ``coefs_`` and
        ``intercepts_`` are for targets as given; losses in ``history_`` are for standardised ones.
        The first fit, or ``partial_fit``, decides on mean and variance.
    init : str or Initializer, default="glorot_uniform"
        Initial weights: ``"glorot_uniform"``, ``"glorot_normal"``, ``"he_uniform"``,
        ``"he_normal"``, ``"lecun_uniform"``, ``"lecun_normal"``, ``"orthogonal"``, ``"uniform"``,
        ``"normal"``, ``"zeros"``; and plugins' names.
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
    network_ : Network
        The layers as fitted to the data.
    params_ : ndarray of shape (n_params,)
        Weights, biases and kept statistics in one row.
    tensors_ : dict of str to ndarray
        The weights by name, views of ``params_``.
    n_outputs_ : int
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
        R² on the validation set after each epoch, or what ``scoring`` says.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs, or iterations, of the last fit.
    n_steps_ : int
        Updates of the weights so far.
    t_ : int
        Training samples seen so far.
    out_activation_ : str
        ``"identity"``, or ``"exp"`` for the Poisson and gamma losses.
    optimizer_ : Optimizer or Minimizer
        The optimizer that was used.
    device_ : str
        Where the model was trained.
    engine_ : str
        What ran it: ``"numpy"``, ``"native"`` where skopt-dl-native is installed, or another.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where `X` has column names.

    See Also
    --------
    MLPRegressor : Dense layers alone, as in scikit-learn.
    skopt_dl.layers : The layers.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skopt_dl import NeuralNetRegressor
    >>> from skopt_dl.layers import Dense, LayerNorm, Residual
    >>> X, y = load_diabetes(return_X_y=True)
    >>> layers = [Dense(16), Residual([LayerNorm(), "gelu", Dense(16)]), "relu"]
    >>> model = NeuralNetRegressor(layers, standardize_target=True, max_iter=50, tol=0.01)
    >>> model.fit(X, y).predict(X[:5]).shape
    (5,)
    """

    constraints = {**BaseAnyNetwork.constraints, **Regression.constraints}

    def __init__(
        self,
        network: Any = DEFAULT,
        *,
        input_shape: Any = None,
        optimizer: Any = "adam",
        loss: Any = "squared_error",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        standardize_target: bool = False,
        init: Any = "glorot_uniform",
        max_grad_norm: float | None = None,
        ema_decay: float | None = None,
        sampling: str = "shuffle",
        warm_start: bool = False,
        device: str = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.network = network
        self.input_shape = input_shape
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
        self.standardize_target = standardize_target
        self.init = init
        self.max_grad_norm = max_grad_norm
        self.ema_decay = ema_decay
        self.sampling = sampling
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
