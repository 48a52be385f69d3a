"""A page to play with: the real optimizers on functions of two variables."""

from skopt_dl.lab.page.document import write_page
from skopt_dl.lab.page.server import serve

__all__ = ["serve", "write_page"]
