"""The app in a real browser: headless Chromium on a free port of the loopback interface."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("streamlit")
selenium = pytest.importorskip("selenium")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"
)


@pytest.fixture(scope="module")
def address():
    from pbpk_hybrid.cli.webapp import free_port

    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "pbpk_hybrid", "app", "--port", str(port), "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the app ended by itself"
        try:
            if (
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).status
                == 200
            ):
                break
        except OSError:
            assert time.monotonic() < deadline, "the app did not start in two minutes"
            time.sleep(0.3)
    yield f"http://127.0.0.1:{port}"
    os.killpg(server.pid, 15)
    server.wait(30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1400,1600",
        f"--user-data-dir={profile}",
        "--disable-background-networking",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=DRIVER)
    )
    yield driver
    driver.quit()


def find(browser, path: str, seconds: float = 120):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support import expected_conditions
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds).until(
        expected_conditions.presence_of_element_located((By.XPATH, path))
    )


@needs_browser
def test_a_simulation_shows_curves_an_analysis_and_downloads(address, browser):
    browser.get(address)
    find(browser, "//button[.//p[text()='simulate']]").click()
    find(browser, "//img[contains(@src, '/media/')]")
    find(browser, "//*[text()='noncompartmental analysis']")
    for label in ("netCDF", "CSV", "PNG"):
        find(browser, f"//*[@data-testid='stDownloadButton']//p[text()='{label}']")


@needs_browser
def test_a_mistake_is_explained_on_the_page(address, browser):
    browser.get(address)
    tab(browser, "Dose")
    box = find(browser, "//input[@aria-label='target']")
    box.send_keys("\ue009a\ue000", "trough five\ue007")  # select all, type over it, enter
    press(browser, "find a dose")
    find(browser, "//*[@data-testid='stAlert'][contains(., 'five')]")


@needs_browser
@pytest.mark.parametrize(
    ("name", "button", "shown"),
    [
        ("Population", "draw people", "asked and achieved"),
        ("Interaction", "compare", "CSV"),
        ("Dose", "find a dose", "PNG"),
    ],
)
def test_a_tab_answers(address, browser, name, button, shown):
    browser.get(address)
    tab(browser, name)
    press(browser, button)
    find(browser, f"//*[@role='tabpanel'][not(@hidden)]//*[text()='{shown}']", 240)
    assert not browser.find_elements("xpath", "//*[@data-testid='stException']")


@needs_browser
def test_a_link_restores_what_was_typed(address, browser):
    from pbpk_hybrid.app.link import packed

    browser.get(f"{address}/?s={packed({'dose.target': 'trough 6-9 mg/L'})}")
    tab(browser, "Dose")
    box = find(browser, "//input[@aria-label='target']")
    assert box.get_attribute("value") == "trough 6-9 mg/L"


def tab(browser, name: str) -> None:
    """Open a tab by a script: another element may lie over it while the page settles."""
    browser.execute_script(
        "arguments[0].click()", find(browser, f"//*[@role='tab'][.//p[text()='{name}']]")
    )


def press(browser, name: str) -> None:
    browser.execute_script(
        "arguments[0].click()", find(browser, f"//button[.//p[text()='{name}']]")
    )


@needs_browser
def test_a_file_that_is_downloaded_holds_the_people(address, browser, tmp_path):
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.get(address)
    press(browser, "simulate")
    find(browser, "//*[text()='noncompartmental analysis']")
    browser.execute_script(
        "arguments[0].click()",
        find(browser, "//*[@data-testid='stDownloadButton']//button[.//p[text()='CSV']]"),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "people.csv").exists():
        assert time.monotonic() < deadline, "nothing was downloaded in a minute"
        time.sleep(0.2)
    lines = (tmp_path / "people.csv").read_text().splitlines()
    assert len(lines) == 101 and "cmax" in lines[0]


@needs_browser
def test_pasted_samples_are_forecast(address, browser):
    pytest.importorskip("torch")
    browser.get(address)
    tab(browser, "Forecast")
    press(browser, "forecast")
    find(browser, "//*[contains(text(), 'unlike the training data')]")
    find(browser, "//*[@data-testid='stDownloadButton']//p[contains(text(), 'CSV')]")


@needs_browser
def test_animals_are_scaled(address, browser):
    pytest.importorskip("torch_geometric")
    browser.get(address)
    tab(browser, "Scale")
    press(browser, "scale")
    find(browser, "//*[@role='tabpanel']//*[@data-testid='stDataFrame']")


@needs_browser
def test_nothing_is_asked_of_another_host(address, browser):
    browser.get(address)
    press(browser, "simulate")
    find(browser, "//*[text()='noncompartmental analysis']")
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert asked
    strangers = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert strangers == []
