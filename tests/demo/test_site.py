"""The page without a server: its pixels against Pillow's in Node, and the whole of it in Chromium."""

import base64
import functools
import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pictures
import pytest
import small_model
from helpers import ROOT
from PIL import Image

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.demo import site
from ifrp_tf.pictures import framing, images
from ifrp_tf.pictures.geometry import Place, cut

TEMPLATES = ROOT / "ifrp_tf" / "demo" / "templates"
RUNTIME = Path(os.environ.get("IFRP_ORT_WEB") or ROOT / ".venv" / "npm" / "node_modules" / "onnxruntime-web")
LIMIT_S = 300


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_pictures_are_framed_as_pillow_does_it():
    random = np.random.default_rng(4)
    noise = random.integers(0, 256, (240, 170, 3)).astype(np.uint8)
    large = np.array(Image.fromarray(noise).resize((1300, 1500)))
    see_through = np.dstack([noise, np.clip(random.integers(-200, 500, (240, 170)), 0, 255)]).astype(np.uint8)
    boxes = [(large, (300, 200, 1100, 1000)), (noise, (40.5, 30, 33, 41)), (noise, (-20, 100, 150, 120))]
    whole = [noise, noise[:, :64], noise[:128, :128], noise[:5], large]
    asked = [{"what": "letterbox", "side": 128, **packed(one)} for one in whole]
    for pixels, (x, y, width, height) in boxes:
        box = {"x": x, "y": y, "width": width, "height": height}
        asked.append({"what": "cut", "side": 128, "box": box, **packed(pixels)})
    asked.append({"what": "opaque", **packed(see_through)})
    command = ["node", ROOT / "tests" / "demo" / "site_pixels.mjs", (TEMPLATES / "pixels.js").as_uri()]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    answers = [np.frombuffer(base64.b64decode(one), np.uint8) for one in json.loads(done.stdout)]
    for pixels, answer in zip(whole, answers, strict=False):
        np.testing.assert_array_equal(answer.reshape(128, 128, 3), framing.letterbox(pixels, 128))
    for (pixels, (x, y, width, height)), answer in zip(boxes, answers[len(whole) : -1], strict=True):
        expected = cut(pixels, Place(x + width / 2, y + height / 2, max(width, height)), 128)
        assert np.abs(answer.reshape(expected.shape) - expected.astype(int)).max() <= 1
    laid = images.read(pictures.save(see_through, "PNG")).pixels
    assert np.abs(answers[-1].reshape(laid.shape) - laid.astype(int)).max() <= 1


def packed(pixels):
    data = base64.b64encode(np.ascontiguousarray(pixels)).decode()
    return {"width": pixels.shape[1], "height": pixels.shape[0], "data": data}


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    runtime = tmp_path / "npm"
    with pytest.raises(ConfigError, match="onnxruntime-web"):
        site.write("no model", runtime, tmp_path / "new")
    (runtime / "dist").mkdir(parents=True)
    for name in site.RUNTIME:
        (runtime / "dist" / name).touch()
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="new folder"):
        site.write("no model", runtime, tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


MISSING = [f"{name} " for name in ("selenium",) if importlib.util.find_spec(name) is None]
MISSING += [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
MISSING += [] if RUNTIME.is_dir() else ["onnxruntime-web (`make site-demo` fetches it)"]
in_browser = pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page with the model that `IFRP_SITE_MODEL` names, else with a small one."""
    if made := os.environ.get("IFRP_SITE"):
        return Path(made)
    return site.write(small_model.exported(), RUNTIME, tmp_path_factory.mktemp("site") / "site")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,1100",
        "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.shots = Path(os.environ.get("IFRP_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    driver.folder = tmp_path_factory.mktemp("downloads")
    where = {"behavior": "allow", "downloadPath": str(driver.folder)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    yield driver
    driver.quit()


def until(browser, script, *values):
    """Waits until a line of JavaScript is true, and returns what it gives."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if found := browser.execute_script(f"return {script}", *values):
            return found
        time.sleep(0.1)
    said = browser.execute_script("return document.getElementById('message').textContent")
    raise AssertionError(f"waited too long for {script}: {said}; {browser.get_log('browser')}")


def give(browser, path):
    """Chooses a file; `answered` waits for what is made of it."""
    browser.find_element("id", "file").send_keys(str(path))


def answered(browser):
    """The file that is kept: downloaded, and taken away again."""
    until(browser, "document.getElementById('message').textContent.startsWith('One plausible')")
    browser.execute_script("document.getElementById('download').click()")
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if found := list(browser.folder.glob("*_recovered.png")):
            data = found[0].read_bytes()
            found[0].unlink()
            return data
        time.sleep(0.1)
    raise AssertionError("nothing was downloaded")


def restart(browser):
    browser.execute_script("document.getElementById('message').textContent = ''")


def drag(browser, box):
    """Draws a rectangle x, y, width, height in pixels of the picture, with a finger."""
    script = """const canvas = document.getElementById('picture');
        canvas.scrollIntoView({block: 'center'});
        const shown = canvas.getBoundingClientRect(), scale = shown.width / canvas.width;
        const [x, y, w, h] = arguments[0];
        return [shown.left + x * scale, shown.top + y * scale, w * scale, h * scale]"""
    x, y, width, height = browser.execute_script(script, box)
    for kind, points in (
        ("touchStart", [(x, y)]), ("touchMove", [(x + 9, y + 9)]), ("touchMove", [(x + width, y + height)]),
        ("touchEnd", []),
    ):  # fmt: skip
        touched = [{"x": left, "y": top} for left, top in points]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})


@in_browser
@pytest.mark.slow
def test_a_portrait_is_recovered_in_the_browser_alone(folder, browser, tmp_path):
    from ifrp_tf.recovery.recoverer import Recoverer

    model = os.environ.get("IFRP_SITE_MODEL") or str(small_model.exported())
    recoverer = Recoverer.load(model)
    assert site.size(folder) < 30e6
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    browser.get(address)
    until(browser, "document.body.dataset.ready === 'true'")
    browser.save_screenshot(str(browser.shots / "site start.png"))

    portrait = portraits_of(tmp_path)
    give(browser, tmp_path / "portrait.png")
    file = answered(browser)
    assert differ(file, recoverer(portrait)) <= 2
    with Image.open(tmp_path_of(tmp_path, file)) as image:
        assert image.text["ifrp_tf"] == (
            f"generated face, not evidence; model {recoverer.name}; sha256 {recoverer.fingerprint}"
        )
    browser.save_screenshot(str(browser.shots / "site desktop.png"))

    # Lying on its side, as cameras write it.
    (tmp_path / "turned.jpg").write_bytes(pictures.with_exif("JPEG", 6, portrait))
    restart(browser)
    give(browser, tmp_path / "turned.jpg")
    upright = images.read(tmp_path / "turned.jpg").pixels
    assert differ(answered(browser), recoverer(upright)) <= 3  # two decoders of JPEG

    # A box drawn in a whole picture, and typed.
    whole = pictures.scene(700, 900)
    whole[200:328, 400:528] = portrait
    images.write_png(tmp_path / "whole.png", whole)
    restart(browser)
    give(browser, tmp_path / "whole.png")
    until(browser, "document.getElementById('message').textContent.includes('drag a rectangle')")
    drag(browser, (380, 190, 160, 150))
    by_hand = answered(browser)
    x, y, width, height = map(
        int, browser.execute_script("return document.getElementById('box').value").split(",")
    )
    assert np.abs(np.subtract((x, y, width, height), (380, 190, 160, 150))).max() <= 3
    framed = cut(whole, Place(x + width / 2, y + height / 2, max(width, height)), recoverer.side)
    assert differ(by_hand, recoverer.recover_batch(framed[None])[0]) <= 3  # its frame may differ by a level
    seen = """(() => { const [frame, picture] = ['frame', 'picture'].map(
        one => document.getElementById(one).getBoundingClientRect());
        const scale = arguments[0] / picture.width;
        return Math.abs((frame.left - picture.left) * scale - arguments[1]) < 5 })()"""
    until(browser, seen, whole.shape[1], x)  # also now that the result has taken half of the room
    browser.save_screenshot(str(browser.shots / "site box.png"))
    for numbers, words in (
        ("5, 5, 9, 9", "at least 32"),
        ("2000, 2, 90, 90", "not in the picture"),
        ("1", "Four numbers"),
    ):
        browser.execute_script(
            """document.getElementById('box').value = arguments[0];
            document.getElementById('typed').requestSubmit()""", numbers,
        )  # fmt: skip
        until(browser, "document.getElementById('message').textContent.includes(arguments[0])", words)

    (tmp_path / "notes.png").write_bytes(b"Dear diary")
    give(browser, tmp_path / "notes.png")
    until(browser, "document.getElementById('message').textContent.includes('no picture')")

    browser.execute_script("document.getElementById('camera').click()")
    until(browser, "document.getElementById('video').currentTime > 0.2")
    browser.execute_script("document.getElementById('shoot').click()")
    until(browser, "document.getElementById('message').textContent.includes('drag a rectangle')")

    # A phone, and no network any more.
    until(browser, "document.body.dataset.offline === 'true'")
    server.shutdown()
    server.server_close()
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(address)
    until(browser, "document.body.dataset.ready === 'true'")
    give(browser, tmp_path / "portrait.png")
    assert answered(browser) == file
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    time.sleep(0.5)
    browser.save_screenshot(str(browser.shots / "site phone.png"))
    print(browser.execute_script("return document.getElementById('message').textContent"))
    asked = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    assert {url.split(":")[0] if not url.startswith("http") else url[: len(address)] for url in urls} <= {
        address, "data", "blob", "chrome"
    }  # fmt: skip


def portraits_of(folder):
    from ifrp_tf.data import sample

    portrait = sample.portrait()
    images.write_png(folder / "portrait.png", portrait)
    return portrait


def tmp_path_of(folder, data):
    (folder / "kept.png").write_bytes(data)
    return folder / "kept.png"


def differ(file, expected):
    return np.abs(images.read(file).pixels.astype(int) - expected).max()
