"""Figures, the scikit-learn way: objects that hold what they show, and plot it."""

from skopt_dl.displays.landscape import LandscapeDisplay
from skopt_dl.displays.learning_rate import LearningRateRangeDisplay
from skopt_dl.displays.loss_curve import LossCurveDisplay

__all__ = ["LandscapeDisplay", "LearningRateRangeDisplay", "LossCurveDisplay"]
