"""The page in headless Chromium: what one does, and what is seen."""

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from browsers import NEEDS_CHROMIUM, started
from lab.small_offer import small_offer

from skopt_dl import lab, make_optimizer
from skopt_dl.lab.page import packing, write_page
from skopt_dl.lab.page.server import Server
from skopt_dl.lab.page.traces import TOL

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = NEEDS_CHROMIUM

PROBES = Path(__file__).with_name("probes.js").read_text(encoding="utf-8")
DESKTOP, PHONE = (1280, 900, False), (360, 740, True)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def offer():
    return small_offer()


@pytest.fixture(scope="module")
def stored(offer, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "lab.html"
    write_page(path, offer)
    return path.as_uri()


@pytest.fixture(scope="module")
def served(offer):
    with Server(offer=offer._replace(n_starts=None)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


class Page:
    """The page as one who looks at it and uses it has it."""

    def __init__(self, driver, url, size, scheme):
        self.driver = driver
        self.shows = url, size, scheme
        width, height, mobile = size
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile},
        )
        self.tell("Emulation.setTouchEmulationEnabled", {"enabled": mobile})
        self.set_motion("reduce")
        driver.get(url)
        self.rest()

    def set_motion(self, motion):
        features = {"prefers-color-scheme": self.shows[2], "prefers-reduced-motion": motion}
        self.tell(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": name, "value": value} for name, value in features.items()]},
        )

    def tell(self, command, parameters):
        self.driver.execute_cdp_cmd(command, parameters)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def probe(self, name, *arguments):
        """What a function of `probes.js` answers."""
        return self.js(f"{PROBES}\nreturn probes.{name}(...arguments)", *arguments)

    def wait(self, condition, *arguments):
        """Wait until a JavaScript expression is true, and return it."""
        wait = WebDriverWait(self.driver, 30, poll_frequency=0.04)
        return wait.until(lambda driver: driver.execute_script(f"return {condition}", *arguments))

    def rest(self):
        """Wait until what was asked for is there, and drawn."""
        self.wait("state.drawn === state.f && !fetching && (state.playing || !due)")

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def keys(self, selector, *keys):
        self.find(selector).send_keys(*keys)
        self.rest()

    def click_map(self, x, y):
        """Click where a point is."""
        dx, dy = self.offset(x, y)
        ActionChains(self.driver).move_to_element_with_offset(
            self.find("#map"), dx, dy
        ).click().perform()
        self.rest()

    def offset(self, x, y):
        """How far a point on the map is from the map's middle."""
        f, (width, height) = self.js("return state.f"), self.probe("mapSize")
        shares = [
            (value - lower) / (upper - lower) - 0.5
            for value, lower, upper in zip((x, y), f["viewLower"], f["viewUpper"], strict=True)
        ]
        return shares[0] * width, -shares[1] * height

    def traces(self):
        """What is drawn, as arrays."""
        found = self.probe("traces")
        arrays = ("points", "values", "gradients", "directions", "rates")
        for trace in found.values():
            for name in arrays:
                trace[name] = np.array(trace[name], dtype=float)
        return found

    def complaints(self):
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def opened():
    """The page that is open, if there is one."""
    return []


@pytest.fixture
def open_page(chromium, opened):
    """Open a page, or reset the one that is open; nothing may be written to its console."""
    chromium.get_log("browser")

    def open_with(url, size=DESKTOP, scheme="light", motion="reduce"):
        if [page.shows for page in opened] == [(url, size, scheme)]:
            opened[0].probe("reset")
            opened[0].rest()
        else:
            opened[:] = [Page(chromium, url, size, scheme)]
        opened[0].set_motion(motion)
        return opened[0]

    yield open_with
    for page in opened:
        page.js("setPlaying(false)")
        assert page.complaints() == []


@pytest.fixture(scope="module", params=["stored", "served"])
def either(request):
    """The addresses of both pages; tests of one follow each other."""
    return request.param, request.getfixturevalue(request.param)


def compared(offer, function, name, start, rate, momentum):
    """The run that `lab.compare` makes; its slots are those of `lab.slots`."""
    optimizer = make_optimizer(name)
    parameters = optimizer.get_params(deep=False)
    settings = {"learning_rate": rate, "momentum": momentum}
    if "momentum" not in parameters:
        settings["beta_1"] = settings.pop("momentum")
    optimizer.set_params(**{key: each for key, each in settings.items() if key in parameters})
    with np.errstate(over="ignore", invalid="ignore"):
        return lab.compare(
            offer.functions[function],
            {name: optimizer},
            starts=[start],
            n_steps=offer.n_steps,
            tol=TOL,
            record=True,
        )


def show_all(page):
    page.probe("showAll")
    page.rest()


def check_changes(trace, rounding, place):
    """The change of each step is its rate times its direction, as far as both are kept."""
    n = trace["n"]
    change = np.diff(trace["points"])[:, :n]
    product = np.nan_to_num(-trace["rates"] * trace["directions"])[:, :n]
    assert (np.abs(change - product) <= rounding * np.abs(product) + 1.05 * place).all()


# Tests of one page, at one size and in one scheme, follow each other: loading it is what costs.


def test_offline_page_asks_no_network_for_anything(open_page, opened, stored, chromium):
    opened.clear()
    chromium.get_log("performance")
    page = open_page(stored)
    page.click_map(0.5, -1.0)
    Select(page.find("#function")).select_by_value("himmelblau")
    page.rest()
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert stored in asked
    assert [url for url in asked if url != stored and not url.startswith("data:")] == []


def test_offline_page_could_not_ask_the_network_if_it_tried(open_page, stored):
    page = open_page(stored)
    answer = page.driver.execute_async_script(
        "const done = arguments[0];"
        "fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done('refused'))"
    )
    assert answer == "refused"
    assert all("Content Security Policy" in each for each in page.complaints())


def test_click_on_the_map_starts_at_the_nearest_stored_point(open_page, stored):
    page = open_page(stored)
    page.click_map(0.9, -0.7)
    assert page.js("return state.start") == pytest.approx([0.8, -0.8])
    assert page.js("return state.traces.adam.points.map((each) => each[0])") == pytest.approx(
        [0.8, -0.8], abs=4 / packing.POINTS_PER_DOMAIN
    )
    assert "Start (0.8, −0.8), the nearest one stored to (0." in page.text("#shows")


def test_click_on_the_map_plays_from_the_start(open_page, stored):
    page = open_page(stored, motion="no-preference")
    page.js("secondsToPlay = 1e4")
    page.click_map(0.9, -0.7)
    page.wait("state.playing && state.step < 5")
    assert page.text("#play") == "Pause"
    page.find("#play").click()
    assert page.text("#play") == "Play"
    assert not page.js("return state.playing")


def test_playing_ends_with_the_last_step(open_page, stored):
    page = open_page(stored, motion="no-preference")
    page.keys("#step", Keys.HOME)
    page.js("secondsToPlay = 0.1")
    page.find("#play").click()
    page.wait("!state.playing && state.step === 30")


@pytest.mark.parametrize("function", ["rosenbrock", "monkey_saddle"])
def test_stored_traces_are_those_of_compare(open_page, stored, offer, function):
    page = open_page(stored, motion="reduce")
    Select(page.find("#function")).select_by_value(function)
    show_all(page)
    width = offer.functions[function].upper - offer.functions[function].lower
    start = page.js("return state.start")
    found = page.traces()
    assert set(found) == set(offer.optimizers)
    for name, trace in found.items():
        run = compared(offer, function, name, start, 0.03, 0.9)
        n = trace["n"]
        off = np.abs(trace["points"].T[: n + 1] - run.paths[0, : n + 1]) / width
        assert off.max() <= 0.51 / packing.POINTS_PER_DOMAIN, name
        assert trace["outcome"] == run.table["outcome"][0]
        assert trace["gradients"].T[:n] == pytest.approx(run.gradients[0, :n], rel=0.05)
        check_changes(trace, 0.07, (width / packing.POINTS_PER_DOMAIN).max())


def test_scrubbing_shows_each_step(open_page, stored):
    page = open_page(stored)
    page.keys("#step", Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.text("#step-shown") == "2 of 30"
    value = page.js("return number(state.traces.adam.values[2])")
    assert page.js("return rows[3].value.textContent") == value
    assert "adam, step 3" in page.text("#slots-about")
    change = page.probe("cells")["change"]
    page.keys("#step", Keys.END)
    assert page.text("#step-shown") == "30 of 30"
    assert page.probe("cells")["change"] != change


def test_loss_curve_scrubs_too(open_page, stored):
    page = open_page(stored)
    ActionChains(page.driver).move_to_element(page.find("#curve")).click().perform()
    page.rest()
    assert 8 <= page.js("return state.step") <= 20


def test_map_changes_while_scrubbing(open_page, stored):
    page = open_page(stored)
    pictures = []
    for key in (Keys.HOME, Keys.PAGE_UP, Keys.END):
        page.keys("#step", key)
        pictures.append(page.js("return byId('map').toDataURL()"))
    assert all(before != after for before, after in pairwise(pictures))


def test_every_optimizer_can_be_shown_and_hidden(open_page, stored, offer):
    page = open_page(stored)
    show_all(page)
    assert set(page.traces()) == set(offer.optimizers)
    for name in offer.optimizers[-2:]:
        page.find(f"[data-show='{name}']").click()
    page.rest()
    assert set(page.traces()) == set(offer.optimizers[:-2])


def test_inside_of_another_optimizer(open_page, stored):
    page = open_page(stored)
    page.keys("#step", Keys.HOME)
    page.find("input[name=look][value=sgd]").click()
    page.rest()
    cells = page.probe("cells")
    assert cells["direction"] == cells["gradient"]
    assert cells["rate"] == ["0.03", "0.03"]


def test_keyboard_alone_reaches_and_shows_every_control(open_page, stored):
    page = open_page(stored)
    wanted = page.probe("controls")
    page.js("document.activeElement.blur()")
    reached = set()
    for _ in range(2 * len(wanted)):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        name, outline = page.probe("focus")
        if name:
            assert outline == "solid", name
            reached.add(name)
    assert set(wanted) <= reached
    assert "look" in reached


def test_arrow_keys_move_the_start(open_page, stored):
    page = open_page(stored)
    x, y = page.js("return state.start")
    page.keys("#map", Keys.ARROW_RIGHT)
    assert page.js("return state.start") == pytest.approx([x + 0.8, y])
    page.keys("#map", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.js("return state.start") == pytest.approx([x + 0.8, y - 1.6])
    page.keys("#map", *[Keys.ARROW_LEFT] * 9)
    assert page.js("return state.start[0]") == pytest.approx(-1.6)
    page.js("secondsToPlay = 1e4")
    page.keys("#map", Keys.ENTER)
    assert page.js("return state.playing")


def test_keys_without_a_focused_control_scrub_and_play(open_page, stored):
    page = open_page(stored, motion="reduce")
    page.js("document.activeElement.blur()")
    ActionChains(page.driver).send_keys(Keys.ARROW_LEFT).perform()
    page.wait("state.step === 29")
    ActionChains(page.driver).send_keys(Keys.SPACE).perform()
    page.wait("state.playing")


def test_what_happens_is_said(open_page, stored):
    page = open_page(stored, motion="reduce")
    page.keys("#map", Keys.ARROW_RIGHT)
    said = page.wait("byId('says').textContent.includes('Start (0') && byId('says').textContent")
    assert "adam" in said
    assert page.find("#says").get_attribute("aria-live") == "polite"
    assert "start (0" in page.find("#map").get_attribute("aria-label")


def test_reduced_motion_shows_the_end_at_once(open_page, stored):
    page = open_page(stored, motion="reduce")
    page.click_map(0.9, -0.7)
    assert page.js("return state.step") == 30
    assert not page.js("return state.playing")


def test_every_control_has_a_name(open_page, stored):
    page = open_page(stored)
    assert page.probe("nameless") == []


@pytest.mark.parametrize(
    ("arrived", "outcome", "said"),
    [
        (149, "reached", "arrived: first within 0.001 after 149 steps"),
        (1, "moving", "first within 0.001 after 1 step, left again"),
        (None, "moving", "still moving"),
        (149, "diverged", "diverged"),
    ],
)
def test_first_touch_is_no_arrival(open_page, stored, arrived, outcome, said):
    page = open_page(stored)
    trace = {"n": 30, "arrived": arrived, "outcome": outcome}
    found = page.js("const t = arguments[0]; t.arrived ??= Infinity; return outcomeOf(t)", trace)
    assert found == said
    assert page.text("#tolerance") == "Arrived: at the end within 0.001 of the smallest value."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_stand_out(open_page, stored, scheme):
    page = open_page(stored, scheme=scheme)
    texts = page.probe("textContrasts")
    assert len(texts) > 40
    assert [(what, ratio) for what, ratio in texts if ratio < 4.5] == []
    curves = page.probe("curveContrasts")
    assert [each for each in curves if each[2] < 3] == []
    assert page.probe("isDark") == (scheme == "dark")


def test_tap_on_a_phone_starts_there(open_page, stored):
    page = open_page(stored, PHONE, motion="reduce")
    dx, dy = page.offset(0.9, -0.7)
    x, y = page.probe("middleOfMap")
    point = {"x": x + dx, "y": y + dy}
    page.tell("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    page.tell("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait("Math.abs(state.start[0] - 0.8) < 1e-9 && Math.abs(state.start[1] + 0.8) < 1e-9")
    page.rest()


def test_page_fits_a_phone(open_page, either):
    page = open_page(either[1], PHONE)
    show_all(page)
    assert page.js("return document.documentElement.scrollWidth") == 360
    assert page.probe("beyond", 360) == []
    assert page.probe("small", 34) == []


@pytest.mark.parametrize("slider", ["rate", "momentum"])
def test_sliders_change_the_runs(open_page, either, slider):
    page = open_page(either[1], motion="reduce")
    before, shown = page.traces()["adam"], page.text(f"#{slider}-shown")
    page.keys(f"#{slider}", Keys.ARROW_LEFT)
    after = page.traces()["adam"]
    assert page.text(f"#{slider}-shown") != shown
    assert page.find(f"#{slider}").get_attribute("aria-valuetext") == page.text(f"#{slider}-shown")
    assert after[slider] < before[slider]
    assert not np.array_equal(after["points"], before["points"])


def test_each_at_its_best_rate(open_page, either):
    page = open_page(either[1], motion="reduce")
    common = {name: trace["values"][-1] for name, trace in page.traces().items()}
    page.find("#best").click()
    page.rest()
    best = {name: trace["values"][-1] for name, trace in page.traces().items()}
    assert page.text("#rate-shown") == "each its own"
    assert not page.find("#rate").is_enabled()
    assert all(best[name] <= common[name] * 1.05 for name in best)
    assert any(best[name] < common[name] / 2 for name in best)


def test_served_page_starts_exactly_where_one_clicks(open_page, served):
    page = open_page(served)
    page.click_map(0.9, -0.7)
    start = page.js("return state.start")
    assert start == pytest.approx([0.9, -0.7], abs=0.02)
    assert page.js("return state.traces.adam.points.map((each) => each[0])") == start
    assert "nearest" not in page.text("#shows")


@pytest.mark.parametrize("function", ["rosenbrock", "monkey_saddle"])
def test_served_traces_are_exactly_those_of_compare(open_page, served, offer, function):
    page = open_page(served, motion="reduce")
    Select(page.find("#function")).select_by_value(function)
    show_all(page)
    start = page.js("return state.start")
    found = page.traces()
    assert set(found) == set(offer.optimizers)
    for name, trace in found.items():
        run = compared(offer, function, name, start, 0.03, 0.9)
        n = trace["n"]
        assert (trace["points"].T[: n + 1] == run.paths[0, : n + 1]).all(), name
        assert (trace["values"][: n + 1] == run.values[0, : n + 1]).all()
        assert (trace["gradients"].T[:n] == run.gradients[0, :n]).all()
        check_changes(trace, 1e-9, 1e-12)
        if not trace["followsRule"]:
            continue
        slots = lab.slots_of_steps(run.optimizers[0], run.paths[0], run.gradients[0])
        assert trace["directions"].T[:n] == pytest.approx(slots.direction[:n], rel=1e-12)
        assert trace["rates"].T[:n] == pytest.approx(slots.rate[:n], rel=1e-12, nan_ok=True)


def test_server_that_is_gone_is_told(open_page, opened, served):
    page = open_page(served)
    page.js("window.fetch = () => Promise.reject(new Error('gone'))")
    page.keys("#rate", Keys.ARROW_LEFT)
    assert page.text("#shows") == "This could not be shown: gone"
    page.keys("#step", Keys.HOME)
    assert page.text("#shows") == "This could not be shown: gone"
    opened.clear()


# The page before its runs are there: the server's answers wait until `release` is called.
HELD = """
const send = window.fetch;
window.fetch = (...asked) => new Promise((go) => (window.release = go)).then(() => send(...asked));
"""


def test_runs_of_another_function_or_start_are_never_seen(open_page, opened, served):
    page = open_page(served)
    page.js(HELD)
    before = page.js("return byId('map').toDataURL()")
    page.js("setFunction('himmelblau')")
    page.wait("state.drawn === state.f && !due && state.f.name === 'himmelblau'")
    assert page.js("return state.traces") == {}
    # The contours are there, and that runs are to come is seen and said.
    assert page.js("return byId('map').toDataURL()") != before
    assert page.js("return ground.key").startswith("himmelblau")
    assert page.text("#shows").startswith("The runs are being made.")
    assert page.js("return rows.every(({ note }) => note.hidden)")
    assert page.find("main").get_attribute("aria-busy") == "true"
    page.wait("byId('says').textContent === 'The runs are being made.'")
    page.js("setStart([1, 1])")
    page.js("release()")
    # The answer for the former start is not shown; that for this one is asked for.
    page.js("window.former = window.release")
    page.wait("window.release !== window.former")
    assert page.js("return state.traces") == {}
    page.js("release()")
    page.rest()
    assert page.js("return state.traces.adam.points.map((each) => each[0])") == [1, 1]
    assert page.find("main").get_attribute("aria-busy") == "false"
    page.js("state.rate = 0; refresh()")
    assert page.find("main").get_attribute("class") == "waiting"
    page.js("release()")
    page.rest()
    assert page.find("main").get_attribute("class") == ""
    opened.clear()
