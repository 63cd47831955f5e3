"""The report of `rainsynth evaluate`: whole or not at all, without a network; and in a browser, where there is one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.evaluate import compare
from pipelines.evaluation.methods import Method
from pipelines.evaluation.pairs import Pair, Pictures, find_photographs
from pipelines.evaluation.report import MOST_SHOWN, shown_pictures
from pipelines.evaluation.report_pictures import worst_windows
from pipelines.evaluation.summary import figure_title
from rainsynth.checks import InputError
from rainsynth.pictures import read_photo

Run = Callable[..., tuple[int, str, str]]
SIDE_PX = 96
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pair(index: int) -> Pair:
    """A picture whose streaks grow with its number."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    clean = np.stack([60 + x // 2, 80 + y // 2, 100 + (x + y) // 4], axis=-1).astype(np.uint8)
    streak = np.where((4 * x + y) % 37 < 6, 20 + 10 * index, 0).astype(np.uint8)
    return Pair(f"scene <{index}>", clean + streak[..., None], clean, clean, ("light", "heavy")[index % 2])


def pairs(count: int) -> Pictures[Pair]:
    names = [f"scene <{index}>" for index in range(count)]
    return Pictures(names=names, sizes_px=[(SIDE_PX, SIDE_PX)] * count, aliases=[(name,) for name in names], read=pair)


def dimmed(rainy: np.ndarray) -> np.ndarray:
    return rainy - 7


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of two networks, "idle" and "<dim>", on four pairs."""
    methods = [Method(name="idle", restore=np.copy), Method(name="<dim>", restore=dimmed)]
    compare(pairs(4), methods, report=tmp_path / "report", threads=1)
    return tmp_path / "report"


def data_of(report: Path) -> dict[str, Any]:
    page = (report / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_page_names_files_that_are_there_and_nothing_else(report: Path) -> None:
    page, data = (report / "report.html").read_text(), data_of(report)
    assert not re.search(r"https?://|@import|{{", page)
    assert "<dim>" not in page
    assert "&lt;dim&gt;" in page
    assert [row["name"] for row in data["rows"]] == [f"scene <{index}>" for index in range(4)]
    views = [row["view"] for row in data["rows"]]
    named = {file for view in views for file in (view["rainy"], view["target"], *view["derained"], *view["errors"])}
    assert named == {path.relative_to(report).as_posix() for path in (report / "pictures").iterdir()}
    for index, view in enumerate(views):
        np.testing.assert_array_equal(read_photo(report / view["rainy"]), pair(index).rainy_srgb8)
        np.testing.assert_array_equal(read_photo(report / view["derained"][1]), pair(index).rainy_srgb8 - 7)
        assert view["target_name"] == "clean"
    assert not list(report.parent.glob(".*"))


def test_a_report_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing(rainy: np.ndarray) -> np.ndarray:
        if rainy[..., 0].max() > 60 + SIDE_PX // 2 + 30:
            raise InputError("network output must be finite, got NaN.")
        return rainy

    with pytest.raises(InputError, match="finite"):
        compare(pairs(4), [Method(name="net", restore=failing)], report=tmp_path / "report", threads=1)
    assert not list(tmp_path.iterdir())
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="--report must be a new or empty folder"):
        compare(pairs(1), [Method(name="net", restore=np.copy)], report=tmp_path / "report", threads=1)
    assert (tmp_path / "report" / "mine.txt").read_text() == "kept"


def test_worst_windows_are_the_worst_of_all_and_do_not_overlap() -> None:
    error = np.random.default_rng(0).random((21, 30))
    found = worst_windows(error, size_px=8, most=3)
    taken = np.zeros((21, 30), dtype=bool)
    for top, left in found:  # the slow way: every window that touches none before
        sums = {
            (y, x): (error[y : y + 8, x : x + 8] ** 2).sum()
            for y in range(14)
            for x in range(23)
            if not taken[y : y + 8, x : x + 8].any()
        }
        assert (top, left) == max(sums, key=lambda place: sums[place])
        taken[top : top + 8, left : left + 8] = True
    assert worst_windows(error[:5], size_px=8, most=1) == worst_windows(error[:5], size_px=5, most=1)


def test_of_many_pictures_the_worst_of_every_method_are_shown() -> None:
    count = 3 * MOST_SHOWN
    rows = {
        name: [{"psnr_y_rainy": 30.0, "psnr_y_derained": 40.0 - 15 * (index == bad)} for index in range(count)]
        for name, bad in (("a", 7), ("b", 50))
    }
    shown = shown_pictures(rows)
    assert len(shown) == MOST_SHOWN == len(set(shown))
    assert {7, 50} <= set(shown)
    assert max(shown) > 0.8 * count


def test_figures_have_the_names_of_the_field() -> None:
    assert figure_title("psnr_y") == "PSNR-Y [dB]"
    assert figure_title("psnr_y_streaks") == "PSNR-Y in streaks [dB]"
    assert figure_title("ssim_y_rounded_repeated") == "SSIM-Y rounded repeated"
    assert figure_title("rest_kept") == "rest kept"


def test_photographs_have_a_report_without_targets(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for index in range(2):
        Image.fromarray(pair(index).rainy_srgb8).save(tmp_path / "photos" / f"{index}.png")
    methods = [Method(name="dim", restore=dimmed)]
    compare(find_photographs(tmp_path / "photos"), methods, report=tmp_path / "report", threads=1)
    data = data_of(tmp_path / "report")
    assert data["figures"][0]["key"] == "streak_energy_left"
    assert all("target" not in row["view"] for row in data["rows"])


@pytest.fixture
def page(report: Path) -> Iterator[Any]:
    """The report in a browser window 1200 px wide."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tried in a browser by playwright")
    browser_path = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser_path is None:
        pytest.skip(f"no browser here: {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        window = browser.new_page(viewport={"width": 1200, "height": 900})
        troubles: list[str] = []
        window.on("pageerror", lambda error: troubles.append(str(error)))
        window.on("console", lambda message: troubles.append(message.text))
        window.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else troubles.append(request.url),
        )
        window.goto((report / "report.html").as_uri())
        yield window
        assert troubles == []
        browser.close()


def names_on(page: Any) -> list[str]:
    return page.eval_on_selector_all("#pictures tbody tr", "rows => rows.map(row => row.cells[0].innerText.trim())")


@pytest.mark.slow
def test_a_click_on_a_head_sorts(page: Any) -> None:
    by_name = [f"scene <{index}>" for index in range(4)]
    page.click("#pictures th button >> nth=0")
    assert names_on(page) == by_name
    page.click("#pictures th button >> nth=0")
    assert names_on(page) == by_name[::-1]
    assert page.get_attribute("#pictures th >> nth=0", "aria-sort") == "descending"
    page.focus("#pictures th button >> nth=3")
    page.keyboard.press("Enter")
    cells = page.eval_on_selector_all("#pictures tbody tr", "rows => rows.map(row => Number(row.cells[3].innerText))")
    assert cells == sorted(cells)


@pytest.mark.slow
def test_the_slider_is_dragged_and_moved_by_keys(page: Any) -> None:
    page.click("#pictures tbody tr:nth-child(2) button")
    page.wait_for_timeout(1000)  # the page scrolls there
    box = page.locator("#compare").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, y, steps=4)
    page.mouse.up()
    assert float(page.input_value("#cut")) == pytest.approx(25, abs=0.5)
    clip = page.evaluate("getComputedStyle(document.getElementById('right-picture')).clipPath")
    assert clip == "inset(0px 0px 0px 25%)"
    page.focus("#cut")
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#cut")) == pytest.approx(25.5)
    before = page.inner_text("#shown-name")
    page.keyboard.press("n")
    assert page.inner_text("#shown-name") != before
    page.select_option("#right", label="clean")
    assert page.get_attribute("#right-picture", "src").endswith("-target.png")
    assert page.evaluate("document.getElementById('right-picture').decode().then(() => true)")


@pytest.mark.slow
def test_the_page_fits_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
