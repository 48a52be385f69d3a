"""Figures, the scikit-learn way: objects that hold what they show, and plot it."""

from skopt_dl.displays.basins import BasinsDisplay
from skopt_dl.displays.convergence import ConvergenceDisplay
from skopt_dl.displays.convexity import ConvexityDisplay
from skopt_dl.displays.landscape import LandscapeDisplay
from skopt_dl.displays.learning_rate import LearningRateRangeDisplay
from skopt_dl.displays.loss_curve import LossCurveDisplay
from skopt_dl.displays.optimizer_comparison import OptimizerComparisonDisplay
from skopt_dl.displays.profile import PerformanceProfileDisplay
from skopt_dl.displays.slots import SlotsDisplay
from skopt_dl.displays.stability import StabilityMapDisplay
from skopt_dl.displays.trajectory import TrajectoryDisplay
from skopt_dl.displays.unified_view import UnifiedViewDisplay

__all__ = [
    "BasinsDisplay",
    "ConvergenceDisplay",
    "ConvexityDisplay",
    "LandscapeDisplay",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
    "OptimizerComparisonDisplay",
    "PerformanceProfileDisplay",
    "SlotsDisplay",
    "StabilityMapDisplay",
    "TrajectoryDisplay",
    "UnifiedViewDisplay",
]
