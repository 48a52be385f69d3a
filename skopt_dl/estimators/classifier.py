"""The classifier."""

from __future__ import annotations

from typing import Any

from skopt_dl.estimators.classification import Classification
from skopt_dl.estimators.mlp import BaseMLP
from skopt_dl.optimizers import AdamW
from skopt_dl.schedules import CosLog4


class MLPClassifier(Classification, BaseMLP):
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
    engine_ : str
        What ran it: ``"numpy"``, ``"native"`` where skopt-dl-native is installed, or another.
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

    constraints = {**BaseMLP.constraints, **Classification.constraints}

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

    @classmethod
    def _tabular_params(cls, loss: Any = None) -> dict[str, Any]:
        return {
            "optimizer": AdamW(CosLog4(0.003), beta_2=0.95, weight_decay=0.1),
            "dropout": 0.3,
            "label_smoothing": 0.02,
        }
