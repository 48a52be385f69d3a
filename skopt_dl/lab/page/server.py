"""The page on this machine alone, its runs made on demand."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from skopt_dl import __version__
from skopt_dl.lab.page.document import best_rates, document
from skopt_dl.lab.page.offer import RATES, Offer, served_offer
from skopt_dl.lab.page.traces import Traces, run

LOOPBACK = "127.0.0.1"


class BadRequestError(ValueError):
    """What was asked for is not on offer."""


class Server(ThreadingHTTPServer):
    """Answers this machine, under its own names, and nobody else.

    Parameters
    ----------
    port : int, default=0
        0 lets the system choose a free one.
    offer : Offer, default=None
        None means `served_offer`.
    """

    daemon_threads = True

    def __init__(self, port: int = 0, offer: Offer | None = None):
        self.offer = served_offer() if offer is None else offer.check()
        self.page = document(self.offer, (), served=True).encode()
        # Runs take turns: each may use all cores.
        self.lock = Lock()
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def names(self) -> tuple[str, str]:
        """What a request may call this server; a page elsewhere has to name its own."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"


def serve(port: int = 0) -> None:
    """Serve the page on this machine until an interrupt (Ctrl-C).

    Parameters
    ----------
    port : int, default=0
        0 lets the system choose a free one.

    Raises
    ------
    ValueError
        If the port is taken, or may not be used.
    """
    try:
        server = Server(port)
    except OSError as error:
        raise ValueError(
            f"Port {port} of {LOOPBACK} cannot be used: {error.strerror}. Choose another, or leave "
            "it out for a free one."
        ) from None
    with server:
        try:
            print(f"The lab is at {server.url} for this machine alone; Ctrl-C ends it.", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nThe lab is closed.")


class _Handler(BaseHTTPRequestHandler):
    """Answers with the page at ``/`` and with runs at ``/traces``."""

    server: Server
    server_version = f"skopt_dl/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.names:
            self._fail(HTTPStatus.MISDIRECTED_REQUEST, f"This server is {self.server.url} only.")
            return
        address = urlsplit(self.path)
        if address.path == "/":
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        elif address.path == "/traces":
            self._answer_traces(parse_qs(address.query))
        else:
            self._fail(HTTPStatus.NOT_FOUND, "There is only the page, at /.")

    def _answer_traces(self, query: Mapping[str, list[str]]) -> None:
        try:
            with self.server.lock:
                found = traces_for(
                    self.server.offer, {key: each[-1] for key, each in query.items()}
                )
        except BadRequestError as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
            return
        self._answer(HTTPStatus.OK, "application/json", json.dumps(found).encode())

    def _fail(self, status: HTTPStatus, message: str) -> None:
        self._answer(status, "application/json", json.dumps({"error": message}).encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        try:
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # the page was closed, or left
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the page asks often."""


def traces_for(offer: Offer, query: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Run what a query asks for.

    Parameters
    ----------
    offer : Offer
    query : dict of str to str
        ``function``, ``x``, ``y``, ``momentum``, ``rate`` (a number, or ``best``) and
        ``optimizers``, names with spaces between them.

    Returns
    -------
    traces : dict of name to dict
        As the page wants them: ``numbers`` are points, values, gradients, directions and rates in
        float64, in base64.

    Raises
    ------
    BadRequestError
        If it is not on offer.
    """
    function = offer.functions.get(query.get("function", ""))
    if function is None:
        raise BadRequestError(f"function must be one of {', '.join(offer.functions)}.")
    start = np.array([[_number(query, "x"), _number(query, "y")]])
    if not ((start >= function.lower) & (start <= function.upper)).all():
        raise BadRequestError(
            f"x and y must lie in the domain, from {function.lower.tolist()} to "
            f"{function.upper.tolist()}; got {start[0].tolist()}."
        )
    momentum = _number(query, "momentum")
    if not 0 <= momentum < 1:
        raise BadRequestError(f"momentum must be from 0 to below 1; got {momentum}.")
    rates: tuple[float, ...] = RATES
    if query.get("rate") != "best":
        rates = (_number(query, "rate"),)
        if not 0 < rates[0] <= 10:
            raise BadRequestError(f"rate must be above 0 and at most 10; got {rates[0]}.")
    found = {}
    for name in query.get("optimizers", "").split():
        if name not in offer.optimizers:
            raise BadRequestError(
                f"optimizers must be of {', '.join(offer.optimizers)}; got {name}."
            )
        traces = run(function, name, rates, (momentum,), start, offer.n_steps)
        found[name] = _trace(traces, int(best_rates(traces, 1)[0]))
    return found


def _number(query: Mapping[str, str], name: str) -> float:
    text = query.get(name, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRequestError(f"{name} must be a number; got {text!r}.")
    return number


def _trace(traces: Traces, row: int) -> dict[str, Any]:
    """Return one run as the page wants it."""
    vectors = (traces.gradients, traces.directions, traces.rates)
    numbers = np.concatenate(
        [
            traces.points[row].T.ravel(),
            traces.values[row],
            *(each[row].T.ravel() for each in vectors),
        ]
    )
    return {
        "n": int(traces.n_steps[row]),
        "outcome": str(traces.outcomes[row]),
        "arrived": _or_none(traces.arrived[row]),
        "followsRule": bool(traces.follows_rule[row]),
        "rate": _or_none(traces.learning_rates[row]),
        "momentum": _or_none(traces.momenta[row]),
        "numbers": base64.b64encode(numbers.astype("<f8").tobytes()).decode("ascii"),
    }


def _or_none(number: float) -> float | None:
    """JSON knows finite numbers only."""
    return float(number) if math.isfinite(number) else None
