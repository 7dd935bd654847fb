"""The dashboard in a real browser, beside a real worker, a real sender and the real API."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from portcullis.api.keys import KeyFile
from tests.api.home import NOW, RunningWorker, settings_of
from tests.api.test_manners import Process

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver here"),
]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1280,1000",
)  # fmt: skip
MEASURED = "return performance.getEntriesByType('resource').map(e => e.name)"
STALE_SECONDS = 12


class Page:
    """A browser on the dashboard."""

    def __init__(self, base: str) -> None:
        options = Options()
        options.binary_location = CHROMIUM or ""
        for flag in (*FLAGS, f"--user-data-dir={tempfile.mkdtemp()}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.base = base
        self.driver = webdriver.Chrome(options, Service(DRIVER))

    def open(self, path: str = "/") -> None:
        self.driver.get(self.base + path)

    def find(self, css: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """What a person reads there; asked again where the page is just being replaced."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.driver.execute_script(script, css))

    def until(self, css: str, words: str, seconds: float = 20) -> None:
        try:
            WebDriverWait(self.driver, seconds, 0.1).until(lambda _: words in self.text(css))
        except TimeoutException:
            raise AssertionError(f"{css} does not say {words!r}: {self.text(css)!r}") from None

    def errors(self) -> list[str]:
        return [row["message"] for row in self.driver.get_log("browser")]

    def asked_elsewhere(self) -> list[str]:
        names: list[str] = self.driver.execute_script(MEASURED)
        return [name for name in names if not name.startswith(self.base)]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    running = RunningWorker(settings_of(tmp_path_factory.mktemp("board")))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def sender(worker: RunningWorker) -> Iterator[subprocess.Popen[bytes]]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "portcullis", "send"],
        env={**own, "PORTCULLIS_HOME": worker.settings.home},
        stdout=subprocess.DEVNULL,
    )
    yield process
    process.terminate()
    process.wait(20)


@pytest.fixture
def api(worker: RunningWorker) -> Iterator[Process]:
    process = Process(worker.settings).wait()
    yield process
    if process.process.poll() is None:
        process.end()


@pytest.fixture
def page(api: Process) -> Iterator[Page]:
    made = Page(f"http://127.0.0.1:{api.settings.api_port}")
    yield made
    made.driver.quit()


def ask(api: Process, path: str, **body: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.settings.api_port, timeout=20)
    headers = {"Authorization": f"Bearer {api.key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    reply = connection.getresponse()
    assert reply.status == 200, reply.read()
    connection.close()


def test_an_alert_appears_and_is_acknowledged_by_who_signed_in(
    page: Page, api: Process, sender: subprocess.Popen[bytes]
) -> None:
    page.open()
    assert page.text("header") != ""
    ask(api, "/api/v1/mode/observe", reason="a look")
    page.until("#banner", "Gate SHUT")
    page.until("#banner", "Shut by key test (")
    page.until("#banner", "a look")
    page.until("#alerts", "The gate is shut")
    assert "Next" in page.text("#banner")
    assert page.driver.title == "▼ Gate SHUT · Portcullis"
    page.until("#alerts", "Sign in to acknowledge")

    key = KeyFile(api.settings.home_path).create("anna", "operator", NOW()).text
    page.open("/signin")
    page.find("#key").send_keys("pck_wrong")
    page.find("form[action='/signin'] button").click()
    page.until(".signin", "not valid")
    page.find("#key").send_keys(key)
    page.find("form[action='/signin'] button").click()
    page.until("header", "anna, operator")
    page.find("[data-ack]").click()
    page.until("#alerts", "acknowledged by key anna")
    assert page.driver.execute_script("return document.cookie") == ""

    page.find("form[action='/signout'] button").click()
    page.until("header", "Sign in")
    refused = "Failed to load resource: the server responded with a status of 401"
    assert [each for each in page.errors() if refused not in each] == []
    assert page.asked_elsewhere() == []


def test_a_lock_counts_down_to_its_end(page: Page, api: Process) -> None:
    page.open()
    ask(api, "/api/v1/accounts/A/lock", reason="a pause", seconds=5)
    page.until("#accounts", "ends in")
    page.until("#accounts", "ends in 2 s")
    page.driver.execute_script("window.kept = true")
    WebDriverWait(page.driver, 20, 0.1).until(lambda _: "a pause" not in page.text("#accounts"))
    assert page.driver.execute_script("return window.kept") is True, "it was loaded anew"
    assert page.errors() == []


def test_a_killed_server_is_said_and_it_comes_back(
    page: Page, api: Process, worker: RunningWorker
) -> None:
    page.open()
    page.until("#accounts", "A")
    assert not page.find("#stale").is_displayed()
    api.end(signal.SIGKILL)
    WebDriverWait(page.driver, STALE_SECONDS, 0.1).until(
        lambda _: page.find("#stale").is_displayed()
    )
    assert "what you see is old" in page.text("#stale")
    assert "stale" in page.find("body").get_attribute("class")
    again = Process(worker.settings).wait()
    try:
        WebDriverWait(page.driver, 20, 0.1).until(lambda _: not page.find("#stale").is_displayed())
        assert [each for each in page.errors() if "ERR_CONNECTION" not in each] == []
    finally:
        again.end()


def test_an_accounts_page(page: Page, api: Process) -> None:
    page.open("/accounts/B")
    page.until("#account", "50,000.00 USD")
    page.until("#rules", "max_contracts")
    page.until("#largest", "ES")
    ask(api, "/api/v1/mode/observe", reason="a look")
    page.until("#account", "The gate is shut, so no order may open risk: a look")
    assert page.find("#account").get_attribute("class") == "banner warn"
    page.open("/accounts/nobody")
    page.until("main", "There is no account nobody here.")
    page.until("main", "Known are: A, B.")
    page.find("main a.button").click()
    page.until("#accounts", "A")


def test_the_page_works_by_keyboard_and_at_the_width_of_a_phone(page: Page, api: Process) -> None:
    page.driver.set_window_size(360, 800)
    page.open()
    page.until("#accounts", "A")
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert page.driver.execute_script(wide) is True
    page.find("body").send_keys("\ue004")
    assert page.driver.switch_to.active_element.text == "To the content"


def test_what_has_the_focus_keeps_it_while_its_part_is_replaced(page: Page, api: Process) -> None:
    page.open()
    page.until("#glance", "Protection")
    page.driver.execute_script("document.getElementById('tile-2').focus()")
    page.driver.execute_script("document.querySelector('#glance').dataset.old = 'yes'")
    ask(api, "/api/v1/accounts/B/lock", reason="a pause", seconds=60)
    WebDriverWait(page.driver, 20, 0.1).until(
        lambda _: page.driver.execute_script(
            "return !document.querySelector('#glance').dataset.old"
        )
    )
    page.until("#glance", "1 locked")
    assert page.driver.execute_script("return document.activeElement.id") == "tile-2"


@pytest.mark.parametrize("width", [1280, 390])
def test_no_name_breaks_within_a_word(page: Page, api: Process, width: int) -> None:
    """A word that was broken stands in more than one box of its line's height."""
    page.driver.set_window_size(width, 900)
    page.open()
    page.until("#accounts", "max contracts")
    broken = """const named = document.querySelectorAll('.rule, .tile strong, .card h3 a');
    return [...named].filter(e => {
      const words = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), found = [];
      while (words.nextNode()) for (const m of words.currentNode.data.matchAll(/[^\\s-]+/g)) {
        const range = document.createRange();
        range.setStart(words.currentNode, m.index);
        range.setEnd(words.currentNode, m.index + m[0].length);
        found.push(new Set([...range.getClientRects()].map(r => Math.round(r.top))).size);
      }
      return found.some(lines => lines > 1);
    }).map(e => e.innerText)"""
    assert page.driver.execute_script(broken) == []


def test_a_worker_that_is_gone_is_said_before_anything_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    alone = RunningWorker(settings_of(tmp_path_factory.mktemp("alone")))
    process = Process(alone.settings).wait()
    page = Page(f"http://127.0.0.1:{process.settings.api_port}")
    try:
        page.open()
        page.until("#glance", "simulated connected")
        alone.stop()
        page.until("#banner", "NOT PROTECTED")
        page.until("#banner", "no limit is enforced")
        page.until("#banner", "portcullis up")
        page.until("#glance", "NOT armed")
        assert page.find("#banner").get_attribute("class") == "banner bad"
        page.open("/accounts/A")
        page.until("#account", "nothing is enforced")
        assert page.errors() == []
    finally:
        page.driver.quit()
        process.end()
        alone.stop()


def test_pages_say_what_may_run_in_them(api: Process) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{api.settings.api_port}/") as reply:
        policy = reply.headers["Content-Security-Policy"]
        body = reply.read().decode()
    assert "default-src 'none'; script-src 'self'" in policy
    assert "<script>" not in body
    assert " style=" not in body


LONG_NAME = """
const name = document.querySelector(".card h3 a"), card = name.closest(".card");
name.textContent = "W".repeat(128);
return card.getBoundingClientRect().right - name.getBoundingClientRect().right;
"""


def test_a_name_of_any_length_stays_in_its_card(page: Page) -> None:
    page.open()
    page.until("#accounts", "A")
    assert page.driver.execute_script(LONG_NAME) > 0
