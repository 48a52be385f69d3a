"""How much memory there is."""

from __future__ import annotations

import math
import os
import sys


def n_bytes_of_memory() -> float:
    """Bytes that this process may have at most: the machine's, or what a limit leaves of them."""
    limits = [math.inf]
    if hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return min(limits)


def in_words(n_bytes: float) -> str:
    """A number of bytes with its unit, such as ``"3.2 GB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.3g} TB" if n_bytes < 1e3 else f"{n_bytes:.0f} TB"
