"""The page of ``masksmith serve``, used in a real browser as a person uses it.

Rule: whatever a test does, the page asks nothing of other hosts and logs no error.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

import masksmith
from masksmith.classes import default_color
from masksmith.cli import main
from service.serving import NAMES, encoded
from service.serving import picture as drawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Route

sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested through the package playwright")
pytest.importorskip("uvicorn", reason="the page needs the service: the extra serve")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the page is tested in Chromium, which is not installed")

# The command line and the service compute in the same way, whatever else is installed.
SAME = ["--runtime", "torch", "--device", "cpu"]
HEIGHT, WIDTH = 40, 56
START_S = 120


@dataclass
class Visit:
    """A page, with what must not have happened while it was open."""

    page: Page
    host: str
    wrong: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("response", lambda answer: self.refused.append(answer.status) if answer.status >= 400 else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("console", self._logged)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.host, "blob:")):
            self.wrong.append(f"asked {url}")

    def _logged(self, message: ConsoleMessage) -> None:
        # Browsers log each answer of 400 and more; those are counted in ``refused``.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.wrong.append(f"logged {message.text}")


@dataclass(frozen=True)
class Told:
    """What the command line makes of the picture, and one class in it: not the first, which is black."""

    path: Path
    mask_HW: npt.NDArray[np.uint8]
    index: int

    @property
    def where(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.mask_HW == self.index)

    @property
    def name(self) -> str:
        return NAMES[self.index]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "scene.png"
    path.write_bytes(encoded(drawn(size=(HEIGHT, WIDTH))))
    return path


@pytest.fixture(scope="module")
def told(run: Path, picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("out")
    assert main(["predict", str(run), str(picture), "-o", str(folder), "--save", "mask", "-q", *SAME]) == 0
    path = folder / "scene_mask.png"
    mask_HW = np.asarray(Image.open(path))
    counts = np.bincount(mask_HW.ravel(), minlength=len(NAMES))
    return Told(path, mask_HW, 1 + int(counts[1:].argmax()))


@pytest.fixture(scope="module")
def host(run: Path, layered: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "masksmith", "serve", str(run), str(layered), "--port", "0", *SAME]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as service:
        timer = threading.Timer(START_S, service.kill)
        timer.start()
        assert service.stdout is not None
        said = []
        try:
            for line in service.stdout:
                said.append(line)
                words = [word.strip(".,;") for word in line.split() if word.startswith("http://127.0.0.1:")]
                if words:
                    break
            else:
                pytest.fail("the service did not start: " + "".join(said))
            timer.cancel()
            # Its further lines are read, else it would wait for a reader.
            threading.Thread(target=service.stdout.read, daemon=True).start()
            yield words[0].rstrip("/") + "/"
        finally:
            timer.cancel()
            service.terminate()
            try:
                service.wait(20)
            except subprocess.TimeoutExpired:
                service.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        # Chromium's sandbox refuses the administrator, as whom tests often run.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, host: str) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(60_000)
    visit = Visit(context.new_page(), host)
    visit.watch()
    yield visit
    context.close()
    assert visit.wrong == []


def opened(visit: Visit) -> Page:
    visit.page.goto(visit.host)
    visit.page.wait_for_selector("#found li")
    return visit.page


def drop(page: Page, *paths: Path) -> None:
    script = """files => {
        const transfer = new DataTransfer();
        for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
        }
        return transfer;
    }"""
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.dispatch_event("#drop", "drop", {"dataTransfer": page.evaluate_handle(script, files)})


def shown(page: Page) -> None:
    page.wait_for_selector("#panel:not([inert])")


def painted(page: Page) -> npt.NDArray[np.uint8]:
    """The canvas as RGBA, after what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    url = page.evaluate("() => document.getElementById('canvas').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def seen(page: Page) -> npt.NDArray[np.uint8]:
    """What the canvas shows of each pixel of a picture that fills it."""
    canvas = painted(page)
    scale = min(canvas.shape[1] / WIDTH, canvas.shape[0] / HEIGHT)
    rows = (canvas.shape[0] / 2 + (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) * scale).astype(int)
    columns = (canvas.shape[1] / 2 + (np.arange(WIDTH) + 0.5 - WIDTH / 2) * scale).astype(int)
    return canvas[np.ix_(rows, columns)][..., :3]


def found(page: Page, told: Told) -> npt.NDArray[np.bool_]:
    """Which pixels have exactly the colour of the class."""
    return np.asarray((seen(page) == default_color(told.index)).all(axis=2))


def slide(page: Page, value: int) -> None:
    page.locator("#opacity").fill(str(value))


def test_drop_look_and_download(visit: Visit, picture: Path, told: Told) -> None:
    page = opened(visit)
    assert page.locator("#found li").all_inner_texts() == list(NAMES)
    drop(page, picture)
    shown(page)

    blended = seen(page)
    slide(page, 100)
    assert np.array_equal(found(page, told), told.where)
    assert not np.array_equal(seen(page), blended)
    slide(page, 0)
    assert np.array_equal(seen(page), np.asarray(Image.open(picture)))
    slide(page, 100)
    page.get_by_label(told.name).uncheck()
    assert not found(page, told).any()
    page.get_by_label(told.name).check()
    assert np.array_equal(found(page, told), told.where)
    assert page.locator("#rows .share").nth(told.index).inner_text() == f"{100 * told.where.mean():.1f} %"

    box = page.locator("#canvas").bounding_box()
    assert box
    scale = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    y, x = map(int, np.argwhere(told.where)[told.where.sum() // 2])
    across, down = (x + 0.5 - WIDTH / 2) * scale, (y + 0.5 - HEIGHT / 2) * scale
    page.mouse.move(box["x"] + box["width"] / 2 + across, box["y"] + box["height"] / 2 + down)
    said = page.locator("#readout").inner_text()
    assert said.startswith(f"{told.name} · confidence ")
    assert said.endswith(f"· x {x}, y {y}")

    with page.expect_download() as download:
        page.get_by_role("button", name="Mask PNG").click()
    assert download.value.suggested_filename == "scene_mask.png"
    assert Path(download.value.path()).read_bytes() == told.path.read_bytes()
    assert visit.refused == []


def test_zoom_layout_and_confidence(visit: Visit, picture: Path) -> None:
    page = opened(visit)
    drop(page, picture)
    shown(page)
    whole = painted(page)
    page.hover("#canvas")
    page.mouse.wheel(0, -300)
    zoomed = painted(page)
    assert not np.array_equal(whole, zoomed)
    page.mouse.down()
    page.mouse.move(700, 500)
    page.mouse.up()
    assert not np.array_equal(zoomed, painted(page))
    page.get_by_role("button", name="Show the whole picture").click()
    page.mouse.move(5, 5)
    assert np.array_equal(whole, painted(page))
    page.get_by_label("Confidence").check(force=True)
    assert page.locator("#ramp").is_visible()
    confident = painted(page)
    assert not np.array_equal(whole, confident)
    page.get_by_label("Side by side").check(force=True)
    assert not page.locator("#opacity").is_visible()
    assert not np.array_equal(confident, painted(page))
    assert visit.refused == []


def test_another_model_whose_classes_overlap(visit: Visit, picture: Path, layered: Path) -> None:
    prediction = masksmith.load(layered, device="cpu").segment(picture)
    page = opened(visit)
    drop(page, picture)
    shown(page)
    page.locator("#model").select_option("layered")
    page.wait_for_selector("#rows li:nth-child(10)")
    shown(page)
    slide(page, 100)
    for index in (0, 9):  # in the low byte of the bits, and in the high one
        page.get_by_role("button", name="Hide all").click()
        page.get_by_label(f"class {index}").check()
        layer = prediction.layer(index)
        assert np.array_equal((seen(page) == default_color(index)).all(axis=2) & layer, layer)
        assert page.locator("#rows .share").nth(index).inner_text().removeprefix("< ") == percent(layer.mean())
    assert visit.refused == []


def test_a_gap_in_a_picture_where_classes_overlap(visit: Visit, layered: Path, tmp_path: Path) -> None:
    pixels = np.maximum(drawn(size=(HEIGHT, WIDTH)), 1)
    pixels[:, : WIDTH // 2] = 0
    path = tmp_path / "half.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(42113, "s", 0, "0", True)])  # GDAL's nodata
    prediction = masksmith.load(layered, device="cpu").segment(path)
    assert prediction.valid_HW is not None
    page = opened(visit)
    page.locator("#model").select_option("layered")
    page.wait_for_selector("#rows li:nth-child(10)", state="attached")
    page.set_input_files("#files", [str(path)])
    shown(page)
    for row, share in zip(page.locator("#rows .share").all_inner_texts(), prediction.shares().values(), strict=True):
        assert row.removeprefix("< ") == percent(share)
    page.locator("#canvas").focus()
    for _ in range(2):
        page.keyboard.press("Shift+ArrowLeft")
    assert page.locator("#readout").inner_text().startswith("no picture here · ")


def test_grey_on_grey_has_the_colour_that_the_service_says(visit: Visit) -> None:
    script = """async () => {
        const { tints } = await import(new URL("page/layers.js", document.baseURI));
        return tints([0, 1, 2].map((index) => ({ index, color: [9, 9, 9 + index % 2], tint: [1, 2, index] })), true);
    }"""
    assert opened(visit).evaluate(script) == [[9, 9, 9], [9, 9, 10], [1, 2, 2]]


def percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.01 else 1}f} %" if share else "0 %"


def test_odd_names_other_formats_and_broken_pictures(visit: Visit, picture: Path) -> None:
    odd = "<img src=x onerror=alert(1)>.png"
    tiff = encoded(drawn(size=(HEIGHT, WIDTH)), ".tif")
    page = opened(visit)
    page.set_input_files(
        "#files",
        [
            {"name": odd, "mimeType": "image/png", "buffer": picture.read_bytes()},
            {"name": "half.png", "mimeType": "image/png", "buffer": picture.read_bytes()[:90]},
            {"name": "field.tif", "mimeType": "image/tiff", "buffer": tiff},
        ],
    )
    page.wait_for_selector("[data-state=done] >> nth=1")
    page.wait_for_selector("[data-state=failed]")
    assert page.locator("#items .name").all_inner_texts() == [odd, "half.png", "field.tif"]
    assert page.locator("#view-title").inner_text() == odd
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("#status").inner_text() == "2 of 3 done, 1 failed"

    page.get_by_role("button", name="half.png Failed").click()
    assert "half.png: expected " in page.locator("#sentence").inner_text()
    assert len(visit.refused) == 1
    # A browser shows no TIFF: its pixels come from the service.
    page.get_by_role("button", name="field.tif Done").click()
    shown(page)
    slide(page, 0)
    assert np.array_equal(seen(page), np.asarray(Image.open(picture)))
    for name in (odd, "half.png", "field.tif"):
        page.get_by_role("button", name=f"Remove {name}").click()
    assert page.locator("#start").is_visible()
    assert len(visit.refused) == 1


def tab_to(page: Page, target: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator(f"{target}:focus").count():
            return
    pytest.fail(f"no way by Tab to {target}")


def test_by_keyboard_alone(visit: Visit, picture: Path, told: Told) -> None:
    # Asked for before the page is opened: Chromium takes a moment until it hands the choosing of files to the test.
    visit.page.on("filechooser", lambda _: None)
    page = opened(visit)
    tab_to(page, "#choose")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(str(picture))
    shown(page)
    assert page.locator("#items .open:focus").count() == 1

    tab_to(page, "#canvas")
    whole = painted(page)
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#readout").inner_text().endswith(f"· x {WIDTH // 2 + 1}, y {HEIGHT // 2}")
    assert page.locator("#readout").get_attribute("aria-live") == "polite"
    page.keyboard.press("0")
    tab_to(page, "#opacity")
    page.keyboard.press("End")
    assert page.locator("#opacity-text").inner_text() == "100 %"
    assert not np.array_equal(whole, painted(page))
    tab_to(page, f"#rows li:nth-child({told.index + 1}) input")
    page.keyboard.press("Space")
    assert not found(page, told).any()
    tab_to(page, "[data-output=mask]")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert Path(download.value.path()).read_bytes() == told.path.read_bytes()


def test_on_a_narrow_phone_in_the_dark(visit: Visit, picture: Path) -> None:
    page = visit.page
    page.set_viewport_size({"width": 320, "height": 640})
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    overflow = "() => document.documentElement.scrollWidth - innerWidth"
    opened(visit)
    assert page.evaluate(overflow) <= 0
    background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert max(map(int, background[4:-1].split(","))) < 64
    drop(page, picture)
    shown(page)
    assert page.evaluate(overflow) <= 0
    assert visit.refused == []


def test_a_token_is_asked_for_and_a_busy_service_asked_again(visit: Visit, picture: Path) -> None:
    page = visit.page
    asked: list[str | None] = []
    busy = [True]

    def guard(route: Route) -> None:
        sent = route.request.headers.get("authorization")
        asked.append(sent)
        if sent != "Bearer sesame":
            route.fulfill(status=401, json={"error": {"message": "expected a token"}})
        elif "segment" in route.request.url and busy:
            busy.pop()
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": {"message": "busy"}})
        else:
            route.continue_()

    page.route("**/v1/**", guard)
    page.goto(visit.host)
    for attempt in ("wrong", "sesame"):
        page.wait_for_selector("#ask[open]")
        page.locator("#token").fill(attempt)
        page.keyboard.press("Enter")
    page.wait_for_selector("#found li")
    drop(page, picture)
    page.wait_for_selector("#items .said:has-text('busy')")
    shown(page)
    assert asked[:3] == [None, "Bearer wrong", "Bearer sesame"]
    assert visit.refused == [401, 401, 503]
    assert page.evaluate("() => localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_pictures_that_come_before_the_service_is_ready(visit: Visit, picture: Path) -> None:
    page = visit.page
    held = held_back(page, "v1/models", 2)
    page.goto(visit.host)
    drop(page, picture)
    assert page.locator("#takes").inner_text() == "Taken as soon as the service is ready."
    until(page, lambda: len(held) == 1)
    held[0].fulfill(status=500, json={"error": {"message": "not now"}})
    page.wait_for_selector("#reload")
    page.locator("#reload").press("Enter")
    until(page, lambda: len(held) == 2)
    held[1].fulfill(status=500, json={"error": {"message": "not now"}})
    page.wait_for_selector("#reload:focus")  # which was hidden meanwhile
    page.keyboard.press("Enter")
    shown(page)
    assert page.locator("#items .name").all_inner_texts() == [picture.name]
    assert visit.refused == [500, 500]


def held_back(page: Page, url: str, most: int = 1) -> list[Route]:
    """So many requests that wait until they are let go; later ones do not."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if len(held) < most:
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile(url), hold)
    return held


def until(page: Page, true: Callable[[], bool]) -> None:
    """Wait for what the page asks for in a moment."""
    for _ in range(600):
        if true():
            return
        page.wait_for_timeout(50)
    pytest.fail("it does not come")


def let_go(page: Page, route: Route) -> None:
    """Answer what was held back, and give the page the time to show it."""
    with page.expect_response(lambda answer: answer.url == route.request.url):
        route.continue_()
    page.wait_for_timeout(300)


def test_a_late_answer_of_the_model_before_is_not_shown(visit: Visit) -> None:
    page = opened(visit)
    held = held_back(page, "output=picture")
    tiff = encoded(drawn(size=(HEIGHT, WIDTH)), ".tif")
    page.set_input_files("#files", [{"name": "field.tif", "mimeType": "image/tiff", "buffer": tiff}])
    until(page, lambda: bool(held))
    page.locator("#model").select_option("layered")
    page.wait_for_selector("#rows li:nth-child(10)")
    shown(page)
    shares = page.locator("#rows .share").all_inner_texts()
    let_go(page, held[0])
    assert page.locator("#rows .share").all_inner_texts() == shares


def test_of_two_choices_of_a_model_the_later_one_counts(visit: Visit) -> None:
    page = opened(visit)
    held = held_back(page, "model=layered")
    page.locator("#model").select_option("layered")
    until(page, lambda: bool(held))
    with page.expect_response(re.compile("model=first")):
        page.locator("#model").select_option("first")
    let_go(page, held[0])
    assert page.locator("#model").input_value() == "first"
    assert page.locator("#rows li").count() == len(NAMES)


def test_one_that_is_too_large_leaves_the_next_its_turn(visit: Visit, picture: Path) -> None:
    page, content = visit.page, picture.read_bytes()
    sent: list[str] = []

    def limit(route: Route) -> None:
        about = route.fetch().json()
        route.fulfill(json={**about, "limits": {**about["limits"], "max_bytes": len(content)}})

    page.route(re.compile(r"/v1/model\?"), limit)
    page.on("request", lambda request: sent.append(request.url) if "output=layers" in request.url else None)
    opened(visit)
    large = {"name": "large.png", "mimeType": "image/png", "buffer": content + b"\0"}
    page.set_input_files("#files", [large, {**large, "name": "scene.png", "buffer": content}])
    page.wait_for_selector("[data-state=done]")
    assert page.locator("#status").inner_text() == "1 of 2 done, 1 failed"
    assert len(sent) == 1
    # The buttons that try again are hidden while they do.
    for button in (page.get_by_role("button", name="Try large.png again"), page.locator("#again")):
        button.press("Enter")
        page.wait_for_selector("#items li:first-child .open:focus")


def test_a_folder_with_a_file_that_cannot_be_read(visit: Visit, picture: Path) -> None:
    script = """content => {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        const whole = new File([bytes], "scene.png", { type: "image/png" });
        const parts = [[
            { name: "scene.png", isFile: true, file: (done) => done(whole) },
            { name: "locked.png", isFile: true, file: (_, fail) => fail(new DOMException("no", "NotReadableError")) },
        ], []];
        const reader = { readEntries: (done) => done(parts.shift()) };
        const folder = { name: "field", isDirectory: true, createReader: () => reader };
        const dataTransfer = { files: [], items: [{ webkitGetAsEntry: () => folder }] };
        const event = Object.assign(new Event("drop", { bubbles: true, cancelable: true }), { dataTransfer });
        document.getElementById("drop").dispatchEvent(event);
    }"""
    page = opened(visit)
    page.evaluate(script, base64.b64encode(picture.read_bytes()).decode())
    shown(page)
    page.get_by_role("button", name="locked.png Failed").click()
    assert "could not read" in page.locator("#sentence").inner_text()
    assert visit.refused == []
