"""Where a method was published, read from the docstring of its class."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

_NAME = r"[^\W\d_][\w'’-]+"
_AUTHORS = re.compile(
    rf"({_NAME}(?: et al\.|(?:, {_NAME})*,? (?:&|and) {_NAME})?),? \(?((?:19|20)\d\d)\b"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5}|[a-z.-]+/\d{7})", re.IGNORECASE)


class Paper(NamedTuple):
    """A publication; what the docstring does not say is empty.

    Attributes
    ----------
    authors, year, arxiv : str
        As in "Chen et al.", "2023", "2302.06675".
    """

    authors: str
    year: str
    arxiv: str

    def __str__(self) -> str:
        parts = (self.authors, self.year, self.arxiv and f"arXiv:{self.arxiv}")
        return ", ".join(part for part in parts if part)


def method_of(cls: Any) -> str:
    """Return the first line of a class's docstring, without the paper and the full stop.

    Examples
    --------
    >>> from skopt_dl.optimizers import Adam
    >>> method_of(Adam)
    'Moving averages of the gradient and of its square'
    """
    first = (cls.__doc__ or "").strip().partition("\n")[0]
    return re.sub(r" \([^()]*\b(?:19|20)\d\d\b[^()]*\)", "", first).removesuffix(".")


def paper_of(cls: Any) -> Paper:
    """Return the first paper that a class's docstring names above its first section.

    Examples
    --------
    >>> from skopt_dl.optimizers import Adam
    >>> paper_of(Adam)
    Paper(authors='Kingma & Ba', year='2015', arxiv='1412.6980')
    >>> str(paper_of(Adam))
    'Kingma & Ba, 2015, arXiv:1412.6980'
    """
    text = re.split(r"\n[A-Z]\w+\n-{3,}\n", inspect.cleandoc(cls.__doc__ or ""))[0]
    text = " ".join(text.split())
    authors, arxiv = _AUTHORS.search(text), _ARXIV.search(text)
    names, year = authors.groups() if authors else ("", "")
    # A number after another year is that of another paper.
    before = _YEAR.findall(text[: arxiv.start()]) if arxiv else []
    own = arxiv is not None and before[-1:] in ([], [year])
    return Paper(names, year, arxiv.group(1) if arxiv and own else "")
