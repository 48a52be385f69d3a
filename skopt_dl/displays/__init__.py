"""Figures, the scikit-learn way: objects that hold what they show, and plot it."""

from skopt_dl.displays.learning_rate import LearningRateRangeDisplay
from skopt_dl.displays.loss_curve import LossCurveDisplay
from skopt_dl.displays.unified_view import UnifiedViewDisplay

__all__ = ["LearningRateRangeDisplay", "LossCurveDisplay", "UnifiedViewDisplay"]
