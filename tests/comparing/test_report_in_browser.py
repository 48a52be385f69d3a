"""The report in headless Chromium: what is seen, and what it asks for."""

import json
from pathlib import Path

import pytest
from browsers import NEEDS_CHROMIUM, started
from comparing.made_rows import MANY, made_board

from skopt_dl.comparing import read_rows
from skopt_dl.comparing.report import write_report

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = NEEDS_CHROMIUM

PROBES = Path(__file__).with_name("report_probes.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(made_board(MANY, failing={"method_3"}), path)
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, chromium, written):
    """Ask a probe of the page, at the width of a phone."""
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": request.param}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    chromium.get_log("performance")
    chromium.get(written.as_uri())

    def ask(probe):
        return chromium.execute_script(f"{PROBES}\nreturn probes.{probe}()")

    assert ask("isDark") == (request.param == "dark")
    return ask


@pytest.mark.parametrize("probe", ["overlaps", "outside", "faint"])
def test_everything_can_be_read(page, probe):
    assert page(probe) == []


def test_page_fits_a_phone(page):
    assert page("beyond") == 0


def test_page_asks_for_nothing_and_complains_of_nothing(page, chromium, written):
    events = [json.loads(each["message"])["message"] for each in chromium.get_log("performance")]
    # The browser's own first page may still ask for parts of itself.
    asked = [
        each["params"]["request"]["url"]
        for each in events
        if each["method"] == "Network.requestWillBeSent"
        and each["params"]["documentURL"] == written.as_uri()
    ]
    assert set(asked) == {written.as_uri()}
    assert chromium.get_log("browser") == []


def test_rows_can_be_saved_from_the_page(page, chromium, tmp_path):
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    chromium.execute_cdp_cmd("Page.setDownloadBehavior", folder)
    chromium.find_element("css selector", "a[download]").click()
    saved = Path(tmp_path / "trials.csv")
    WebDriverWait(chromium, 20, poll_frequency=0.05).until(lambda _: saved.exists())
    assert len(read_rows(saved).rows) > 100
