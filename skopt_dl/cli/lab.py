"""``skopt-dl lab``: the page of the lab."""

from __future__ import annotations

import sys

from skopt_dl.cli.printing import size


def open_lab(html: str | None, serve: bool, port: int | None) -> None:
    """See the installed optimizers at work on functions of two variables.

    The page is either one file that needs no network, with runs made beforehand, or served, with
    runs made when they are asked for.
    """
    if (html is None) == (not serve) or (port is not None and not serve):
        sys.exit("Say either --html FILE, or --serve with --port where that matters.")
    from skopt_dl.lab import page

    try:
        if html is None:
            page.serve(port or 0)
        else:
            print(f"{html}: {size(page.write_page(html))}")
    except ValueError as error:
        sys.exit(str(error))
