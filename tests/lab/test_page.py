"""The page's data, its file and its server. What is seen is tested in a browser."""

import base64
import http.client
import json
import re
import signal
import threading
import zlib

import numpy as np
import pytest
from lab.small_offer import small_offer

from skopt_dl import available_optimizers, cli, lab, make_optimizer
from skopt_dl.lab.page import packing, serve, write_page
from skopt_dl.lab.page.document import best_rates, document
from skopt_dl.lab.page.offer import optimizers_at_work, served_offer, stored_offer
from skopt_dl.lab.page.server import BadRequestError, Server, traces_for
from skopt_dl.lab.page.traces import TOL, run
from skopt_dl.objectives import Rosenbrock
from skopt_dl.optimizers import Optimizer
from skopt_dl.plugins import hookimpl, register, unregister


@pytest.fixture(scope="module")
def offer():
    return small_offer(n_starts=3, n_steps=12)


@pytest.fixture(scope="module")
def page(offer):
    return document(offer, (), served=False)


@pytest.fixture(scope="module")
def server(offer):
    with Server(offer=offer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, **headers):
    connection = http.client.HTTPConnection(*server.server_address, timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def columns_of(packed, n_rows, shapes):
    """Undo `packing.pack`, as `data.js` does."""
    data, offset, columns = zlib.decompress(base64.b64decode(packed)), 0, []
    for channels, length in shapes:
        plane = n_rows * channels * length
        low, high = (
            np.frombuffer(data, np.uint8, plane, at).astype(int) for at in (offset, offset + plane)
        )
        coded = low | high << 8
        differences = np.where(coded & 1, -(coded + 1) // 2, coded // 2)
        columns.append(differences.reshape(n_rows, channels, length).cumsum(axis=-1))
        offset += 2 * plane
    assert offset == len(data)
    return columns


@pytest.mark.parametrize("name", available_optimizers())
@pytest.mark.parametrize("function", ["rosenbrock", "monkey_saddle"])
def test_what_is_packed_is_what_was_run(offer, function, name):
    known, starts = offer.functions[function], offer.starts(function)
    traces = run(known, name, offer.learning_rates, offer.momenta, starts, offer.n_steps)
    n_rows, length = traces.values.shape
    shapes = [(1, 1)] * 5 + [(2, length), (1, length)] + [(2, length - 1)] * 3
    packed = packing.pack(traces, known, best_rates(traces, len(starts)))
    n, outcome, arrived, follows, best, places, _, gradients, turned, rates = columns_of(
        packed, n_rows, shapes
    )
    assert (n.ravel() == traces.n_steps).all()
    assert [packing.OUTCOMES[each] for each in outcome.ravel()] == traces.outcomes.tolist()
    assert (arrived.ravel() >= 0).tolist() == np.isfinite(traces.arrived).tolist()
    assert (follows.ravel() == traces.follows_rule).all()
    assert (best.ravel() < len(offer.learning_rates)).all()
    points = known.lower + np.swapaxes(places, 1, 2) / packing.POINTS_PER_DOMAIN * (
        known.upper - known.lower
    )
    assert points == pytest.approx(traces.points, abs=0.0051 * (known.upper - known.lower)[0])
    directions = np.swapaxes(gradients + turned, 1, 2)
    assert ((directions & 1) == (traces.directions < 0)).all()
    sizes = 2.0 ** ((directions >> 1) / packing.LEVELS_PER_OCTAVE)
    assert sizes == pytest.approx(np.abs(traces.directions), rel=0.05, abs=1e-15)
    if name == "sgd":
        # The learning rate itself, or nothing.
        nothing = 2 * packing.NOTHING * packing.FINE_LEVELS_PER_OCTAVE
        assert ((rates == 0) | (rates <= nothing)).all()
        assert (rates == 0).any()


@pytest.mark.parametrize("name", ["sgd", "adam", "lbfgs"])
def test_traces_are_those_of_compare(offer, name):
    known, start = offer.functions["himmelblau"], [[-0.5, -2.1]]
    traces = run(known, name, (0.01,), (0.9,), np.array(start), 40)
    optimizer = make_optimizer(name)
    if name != "lbfgs":
        optimizer.set_params(learning_rate=0.01)
    found = lab.compare(known, optimizer, starts=start, n_steps=40, tol=TOL, record=True)
    n = traces.n_steps[0]
    assert (traces.points[0, : n + 1] == found.paths[0, : n + 1]).all()
    assert (traces.values[0, : n + 1] == found.values[0, : n + 1]).all()
    assert (traces.points[0, n:] == traces.points[0, n]).all()
    slots = lab.slots_of_run(found)
    assert traces.follows_rule[0] == slots.follows_rule
    assert traces.directions[0, :n] == pytest.approx(slots.direction[:n])
    assert traces.rates[0, :n] == pytest.approx(slots.rate[:n])


def test_best_rate_ends_lowest(offer):
    known, starts = offer.functions["himmelblau"], offer.starts("himmelblau")
    traces = run(known, "momentum", offer.learning_rates, offer.momenta, starts, offer.n_steps)
    best = best_rates(traces, len(starts)).reshape(2, 3, 9)
    ends = np.where(traces.outcomes == "diverged", np.inf, traces.values[:, -1]).reshape(2, 3, 9)
    chosen = np.take_along_axis(ends, best[:, :1], axis=1)
    assert (chosen <= ends).all()


def test_everything_installed_is_on_offer():
    for offer in (stored_offer(), served_offer()):
        assert sorted(offer.optimizers) == available_optimizers()
        assert offer.absent == {}
        assert {"rosenbrock", "himmelblau", "saddle_escape"} <= set(offer.functions)
        assert all(function.n_dims == 2 for function in offer.functions.values())


class NeedsNetwork(Optimizer):
    """One that a function of two variables is not enough for."""

    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        raise ValueError("There is no output layer.")


def test_optimizer_that_cannot_run_is_named_with_its_reason():
    class Plugin:
        @hookimpl
        def skopt_dl_optimizers(self):
            return {"needs_network": NeedsNetwork}

    register(Plugin(), name="needy")
    try:
        names, absent = optimizers_at_work()
    finally:
        unregister("needy")
    assert "needs_network" not in names
    assert absent == {"needs_network": "ValueError: There is no output layer."}


def test_page_names_no_place_in_a_network(page):
    code = re.sub(r'(?s)<script type="text/plain".*?</script>', "", page)
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(|src=|<link(?! rel=\"icon\" href=\"data:)", code
    )
    assert "default-src 'none'" in page
    assert "connect-src 'none'" in page


def test_nothing_in_the_data_can_end_its_element(page):
    blocks = re.findall(r'<script type="text/plain" id="[^"]*">(.*?)</script>', page, re.DOTALL)
    assert len(blocks) == 1
    assert "<" not in blocks[0]
    assert json.loads(blocks[0])["steps"] == 12


def test_file_is_written_whole_and_replaces_one(tmp_path, offer):
    path = tmp_path / "lab.html"
    path.write_text("before")
    small = offer._replace(optimizers=("sgd",), n_steps=1)
    assert write_page(path, small) == path.stat().st_size > 1000
    assert [each.name for each in tmp_path.iterdir()] == ["lab.html"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"functions": {}}, "functions of the offer is empty"),
        ({"optimizers": ()}, "optimizers of the offer is empty"),
        ({"learning_rates": ()}, "learning_rates of the offer is empty"),
        ({"momenta": ()}, "momenta of the offer is empty"),
        ({"functions": {"long": Rosenbrock(3)}}, "'long' of the offer has 3. Leave it out."),
        ({"functions": {"text": "himmelblau"}}, "got str for 'text'"),
        ({"n_starts": 0}, "n_starts of the offer must be an integer of at least 1; got 0"),
        ({"n_starts": None}, "n_starts of the offer is None"),
        ({"n_steps": 2.5}, "n_steps of the offer must be an integer of at least 1; got 2.5"),
    ],
)
def test_offer_that_no_page_can_show_is_said(tmp_path, offer, change, what):
    with pytest.raises((TypeError, ValueError), match=re.escape(what)):
        write_page(tmp_path / "lab.html", offer._replace(**change))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("where", "why"), [("", "is a folder"), ("no/lab.html", "no such folder")])
def test_where_no_file_can_be_is_said(tmp_path, capsys, where, why):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["lab", "--html", str(tmp_path / where)])
    assert why in str(exit_.value.code)


@pytest.mark.parametrize(
    "arguments", [[], ["--html", "lab.html", "--serve"], ["--html", "lab.html", "--port", "80"]]
)
def test_command_says_what_it_needs(arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["lab", *arguments])
    assert "either --html FILE, or --serve" in str(exit_.value.code)


def test_server_answers_with_the_page(server):
    response, body = ask(server, "/")
    assert response.status == 200
    assert b"connect-src 'self'" in body
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Access-Control-Allow-Origin"] is None


def test_server_listens_to_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost:1", "evil.example:{port}"]
)
def test_server_rejects_names_that_are_not_its_own(server, host):
    for path in ("/", "/traces?function=rosenbrock"):
        response, body = ask(server, path, Host=host.format(port=server.server_port))
        assert response.status == 421
        assert b"This server is" in body


def test_server_knows_its_other_name(server):
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0].status == 200


def test_server_has_nothing_else(server):
    assert ask(server, "/../pyproject.toml")[0].status == 404


QUERY = {
    "function": "rosenbrock",
    "x": "-1",
    "y": "1",
    "rate": "0.1",
    "momentum": "0.5",
    "optimizers": "adam lbfgs",
}


def test_server_runs_what_is_asked_for(server, offer):
    query = "&".join(f"{key}={value.replace(' ', '+')}" for key, value in QUERY.items())
    response, body = ask(server, f"/traces?{query}")
    assert response.status == 200
    found = json.loads(body)
    assert list(found) == ["adam", "lbfgs"]
    assert (found["adam"]["rate"], found["adam"]["momentum"]) == (0.1, 0.5)
    assert (found["lbfgs"]["rate"], found["lbfgs"]["momentum"]) == (None, None)
    numbers = np.frombuffer(base64.b64decode(found["adam"]["numbers"]))
    optimizer = make_optimizer("adam", learning_rate=0.1, beta_1=0.5)
    run = lab.compare(
        offer.functions["rosenbrock"], optimizer, starts=[[-1, 1]], n_steps=12, record=True
    )
    assert numbers[:26].tolist() == run.paths[0].T.ravel().tolist()
    assert numbers[26:39].tolist() == run.values[0].tolist()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"function": "nowhere"}, "function must be one of"),
        ({"x": "9"}, "x and y must lie in the domain"),
        ({"y": "nan"}, "y must be a number; got 'nan'"),
        ({"rate": "-1"}, "rate must be above 0"),
        ({"rate": "x"}, "rate must be a number; got 'x'"),
        ({"momentum": "1"}, "momentum must be from 0 to below 1"),
        ({"optimizers": "adam nobody"}, "got nobody"),
    ],
)
def test_what_is_not_on_offer_is_said(offer, change, what):
    with pytest.raises(BadRequestError, match=re.escape(what)):
        traces_for(offer, QUERY | change)


def test_server_answers_bad_requests_with_their_error(server):
    response, body = ask(server, "/traces?function=nowhere")
    assert response.status == 400
    assert "function must be one of" in json.loads(body)["error"]


def test_port_that_is_taken_is_said(server):
    with pytest.raises(ValueError, match=rf"Port {server.server_port} of 127.0.0.1 cannot be used"):
        serve(server.server_port)


def test_ctrl_c_ends_the_server(offer, monkeypatch, capsys):
    monkeypatch.setattr("skopt_dl.lab.page.server.served_offer", lambda: offer)

    def interrupt(server):
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)

    # What a server does between requests; another one runs in a thread.
    monkeypatch.setattr(Server, "service_actions", interrupt)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["lab", "--serve"])
    assert exit_.value.code == 0
    output, errors = capsys.readouterr()
    begun = r"The lab is at http://127\.0\.0\.1:\d+/ for this machine alone; .*"
    assert re.fullmatch(begun + r"\n\nThe lab is closed\.\n", output)
    assert errors == ""
