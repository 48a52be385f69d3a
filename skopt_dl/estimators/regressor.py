"""The regressor."""

from __future__ import annotations

from typing import Any

from skopt_dl.estimators.mlp import BaseMLP
from skopt_dl.estimators.regression import Regression
from skopt_dl.optimizers import Adam
from skopt_dl.plugins import find
from skopt_dl.schedules import CosLog4


class MLPRegressor(Regression, BaseMLP):
    """Multi-layer perceptron regressor, trained by any optimizer.

    One or several targets. Parameters that scikit-learn's ``MLPRegressor`` has mean the same here;
    what it calls ``solver``, and its ``learning_rate*``, ``momentum``, ``beta_*`` and ``epsilon``
    parameters, belong to ``optimizer``. Targets are trained on as they are: set
    ``standardize_target`` where they are far from unit variance.

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
        R² on the validation set after each epoch, or what ``scoring`` says.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs, or iterations, of the last fit.
    n_steps_ : int
        Updates of the weights so far.
    t_ : int
        Training samples seen so far.
    n_layers_, n_outputs_ : int
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
    MLPClassifier : The same for classification.
    skopt_dl.make_optimizer : Creates an optimizer by name.

    Notes
    -----
    Losses sum over several targets, so that the gradient of each is what it would be alone.
    scikit-learn trains in the same way, but reports the mean over targets as its squared error.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl import MLPRegressor
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> model = MLPRegressor(20, optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    constraints = {**BaseMLP.constraints, **Regression.constraints}

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
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
        dropout: Any = 0.0,
        batch_norm: bool = False,
        input_scaling: bool = False,
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
        self.standardize_target = standardize_target
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.input_scaling = input_scaling
        self.init = init
        self.max_grad_norm = max_grad_norm
        self.ema_decay = ema_decay
        self.sampling = sampling
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def _tabular_params(cls, loss: Any = None) -> dict[str, Any]:
        kind = find("loss", loss) if isinstance(loss, str) else loss
        return {
            "optimizer": Adam(CosLog4(0.02), beta_2=0.95),
            # Losses that predict through an exponential take targets as they are.
            "standardize_target": getattr(kind, "output_activation", "identity") == "identity",
            "early_stopping": True,
            "ema_decay": 0.99,
        }
