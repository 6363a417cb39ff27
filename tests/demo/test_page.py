"""The web page in a browser: a painting made here goes in, and what comes out is looked at."""

import base64
import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import composed
import keras
import numpy as np
import pytest
import small_model
from PIL import Image

from ifrp_tf.data import sample
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.demo import app, page, result
from ifrp_tf.nn.metrics import ssim
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.release import export
from ifrp_tf.styles import procedural

MISSING = [name for name in ("gradio", "selenium") if importlib.util.find_spec(name) is None]
MISSING += [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"no {', '.join(MISSING)}: `make demo-browser` installs them and runs this"
)

PATIENCE_S = 900  # for a machine that is busy with other things; alone it takes seconds


def until(condition, seconds=PATIENCE_S):
    """Waits until something is so, whatever goes wrong on the way, and returns it."""
    limit, last = time.monotonic() + seconds, None
    while time.monotonic() < limit:
        try:
            if found := condition():
                return found
        except Exception as error:  # such as an element that has just been replaced
            last = error
        time.sleep(0.1)
    raise AssertionError(f"waited too long; {last}")


def painted(style):
    """The upright face of the sample, in a style that the network was never trained on or was."""
    random = np.random.default_rng(1)
    noise = random.random((1, procedural.PARAMS), np.float32), random.random((1, 128, 128, 3), np.float32)
    levels = procedural.STYLES[style](images.to_model_range(sample.photo())[None], *noise)
    return images.to_uint8(keras.ops.convert_to_numpy(levels))[0]


@pytest.fixture(scope="module")
def painting(tmp_path_factory):
    """A picture of two tilted, painted faces among clutter."""
    pixels, _ = composed.scene([painted("impasto"), painted("watercolour")], 3)
    path = tmp_path_factory.mktemp("painting") / "Vénus & <b>Mars.png"
    images.write_png(path, np.ascontiguousarray(pixels[200:1000, :1000]))
    return path


@contextlib.contextmanager
def started(kept, *flags):
    """The address of the page, as a user starts it; `kept` is an empty folder for what it keeps."""
    command = small_model.command("demo", "--port=0", *flags)
    environment = {**small_model.environment(), "TMPDIR": str(kept), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["http_proxy"] = "http://127.0.0.1:9"  # whoever goes out, or to itself through it, fails
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield re.search(r"http://\S+", line)[0]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert not list(kept.iterdir())  # no picture stays behind
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The page's address, and the folder for what it keeps."""
    kept = tmp_path_factory.mktemp("kept")
    with started(kept) as address:
        yield address, kept


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser with a download folder."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "window-size=1200,1400",
    ):
        options.add_argument(f"--{flag}")
    options.add_argument("--use-fake-device-for-media-stream")
    options.add_argument("--use-fake-ui-for-media-stream")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.folder = tmp_path_factory.mktemp("downloads")
    driver.shots = Path(os.environ.get("IFRP_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    where = {"behavior": "allow", "downloadPath": str(driver.folder)}
    try:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser(served, chromium):
    """Chromium with the page open."""
    chromium.get(served[0])
    return chromium


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def shown(browser, selector):
    return any(element.is_displayed() for element in find(browser, selector))


def text(browser, selector):
    return " ".join(element.text for element in find(browser, selector))


def take_away(browser):
    """Takes the picture away, if there is one."""

    def gone():
        buttons = find(browser, "#drop [aria-label='Remove Image']")
        for button in buttons:
            browser.execute_script("arguments[0].click()", button)
        return not buttons and not shown(browser, "#results, #found")

    until(gone)


def give(browser, path):
    """Takes the picture away that is there, and chooses a file."""
    take_away(browser)
    until(lambda: find(browser, "#drop input[type=file]"))[0].send_keys(str(path))


def screenshot(browser, name):
    """The whole page, however long, as a PNG."""
    size = "return [innerWidth, document.documentElement.scrollHeight]"
    width, height = browser.execute_script(size)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    (browser.shots / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def fetch(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return answer.read()


def pictures(browser, selector, number):
    """The pictures that are shown, decoded, once there are so many and all are loaded."""
    script = """const all = [...document.querySelectorAll(arguments[0])];
        return all.every(one => one.complete && one.naturalWidth) ? all.map(one => one.src) : []"""

    def decoded():
        urls = browser.execute_script(script, selector)
        return len(urls) == number and [images.read(fetch(url)).pixels for url in urls]

    return until(decoded)


def strength(browser, key):
    """Moves the slider with the keyboard, as somebody without a mouse does."""
    find(browser, "#strength input[type=range]")[0].send_keys(key)


def hosts(browser):
    """Where the browser sent requests to, since it was asked last."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    return {re.match(r"\w+:(//[^/]*)?", url)[0] for url in urls if not url.startswith("chrome")}


def test_a_painting_is_recovered_shown_and_kept(browser, served, painting):
    give(browser, painting)
    until(lambda: "2 faces found, 2 recovered." in text(browser, "#message"))
    before, after = pictures(browser, "#slider img", 2)
    np.testing.assert_array_equal(before, images.read(painting).pixels)
    assert 0.02 < (before != after).any(-1).mean() < 0.4  # the faces, not the rest
    assert not find(browser, "#attributes")  # the model cannot be told any
    assert pictures(browser, "#found img", 1)[0].shape == before.shape
    recovered = pictures(browser, "#gallery img", 2)
    assert [one.shape for one in recovered] == [(128, 128, 3)] * 2

    links = until(lambda: len(found := find(browser, "#files a[download]")) == 3 and found)
    screenshot(browser, "desktop")
    stem = "Vénus_b_Mars"
    names = [f"{stem}_face1_recovered.png", f"{stem}_face2_recovered.png", f"{stem}_pasted.png"]
    assert [link.get_attribute("download") for link in links] == names
    browser.execute_script("arguments[0].click()", links[0])
    file = until(lambda: list(browser.folder.glob("*.png")))[0]
    with Image.open(file) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (128, 128), "RGB")
        assert re.fullmatch(
            r"generated face, not evidence; model ifrp/\d+; sha256 \w{64}", image.text["ifrp_tf"]
        )
        face = np.array(image)
    np.testing.assert_array_equal(face, recovered[0])
    pasted = images.read(fetch(links[2].get_attribute("href"))).pixels
    np.testing.assert_array_equal(pasted, after)
    # The photograph that was painted is known. A painting may come as near in numbers, for it is upright.
    photo = sample.photo()
    for answer, style in zip(recovered, ("impasto", "watercolour"), strict=True):
        near, far = (float(ssim(one[None], photo[None])[0]) for one in (answer, painted(style)))
        print(f"{style}: SSIM {far:.2f} painted, {near:.2f} recovered")
        assert near > 0.5


def test_the_strength_changes_the_picture_and_the_file(browser, painting):
    from selenium.webdriver.common.keys import Keys

    was = pictures(browser, "#slider img", 2)[1]
    link = "#files tr:last-child a[download]"
    strength(browser, Keys.HOME)

    def pasted():
        return images.read(fetch(find(browser, link)[0].get_attribute("href"))).pixels

    plain = images.read(painting).pixels
    until(lambda: np.array_equal(pictures(browser, "#slider img", 2)[1], plain))
    until(lambda: np.array_equal(pasted(), plain))
    assert find(browser, "#strength input[type=number]")[0].get_attribute("value") == "0"
    strength(browser, Keys.END)
    until(lambda: np.array_equal(pictures(browser, "#slider img", 2)[1], was))
    until(lambda: np.array_equal(pasted(), was))
    assert find(browser, "#strength input[type=number]")[0].get_attribute("value") == "1"


def test_uncertainty_is_shown_beside_the_faces(browser):
    box = find(browser, "#uncertain input")[0]
    browser.execute_script("arguments[0].click()", box)
    until(lambda: text(browser, "#gallery").count("uncertainty 0.") == 2)
    faces = pictures(browser, "#gallery img", 4)
    assert [one.shape for one in faces] == [(128, 128, 3)] * 4
    assert "can still be wrong" in text(browser, "#legend")
    screenshot(browser, "uncertainty")


EVENTS = {
    "mouse": ("mousePressed", "mouseMoved", "mouseMoved", "mouseReleased"),
    "touch": ("touchStart", "touchMove", "touchMove", "touchEnd"),
}


def drag(browser, box, kind="mouse"):
    """Draws a rectangle x, y, width, height, in parts of the picture, on the picture with its faces."""
    corners = browser.execute_script(
        """const image = document.querySelector('#found img'), box = image.getBoundingClientRect();
        scrollBy(0, box.top - 100);
        const at = image.getBoundingClientRect();
        const scale = Math.min(at.width / image.naturalWidth, at.height / image.naturalHeight);
        const [w, h] = [scale * image.naturalWidth, scale * image.naturalHeight];
        const [x, y] = [at.left + (at.width - w) / 2, at.top + (at.height - h) / 2];
        const [l, t, wide, high] = arguments[0];
        const end = [x + w * (l + wide), y + h * (t + high)];
        return [[x + w * l, y + h * t], [x + w * (l + wide / 2), y + h * (t + high)], end, end]""",
        box,
    )
    for event, (x, y) in zip(EVENTS["touch" if kind == "touch" else "mouse"], corners, strict=True):
        if kind == "touch":
            points = [] if event == "touchEnd" else [{"x": x, "y": y}]
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": event, "touchPoints": points})
        else:
            values = {"type": event, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            browser.execute_cdp_cmd("Input.dispatchMouseEvent", {**values, "pointerType": kind})


def press(browser, selector):
    browser.execute_script("arguments[0].click()", find(browser, selector)[0])


def test_boxes_are_drawn_and_taken_back(browser):
    """With a mouse, a pen and a finger; each is one face more, and its numbers are seen."""
    for count, (kind, box) in enumerate(
        {
            "mouse": (0.6, 0.1, 0.2, 0.25),
            "pen": (0.05, 0.7, 0.2, 0.2),
            "touch": (0.05, 0.05, 0.2, 0.2),
        }.items(),
        1,
    ):
        drag(browser, box, kind)
        until(
            lambda n=count: (
                f"{2 + n} faces, {n} of them by hand, {2 + n} recovered." in text(browser, "#message")
            )
        )
    assert len(pictures(browser, "#gallery img", 5)) == 5
    before, after = pictures(browser, "#slider img", 2)
    y, x = (round(part * side) for part, side in zip((0.225, 0.7), before.shape, strict=False))
    assert (before != after).any(-1)[y - 20 : y + 20, x - 20 : x + 20].mean() > 0.5
    screenshot(browser, "boxes")
    press(browser, "#back")
    until(lambda: "2 faces found, 2 recovered." in text(browser, "#message"))


def type_box(browser, numbers):
    from selenium.webdriver.common.keys import Keys

    field = find(browser, "#box textarea, #box input")[0]
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(numbers, Keys.ENTER)


def test_boxes_are_typed_and_bad_ones_explained(browser):
    for numbers, words in (
        ("2000, 10, 90, 90", "middle in the picture"),
        ("5, 5, 8, 8", "at least 32 pixels"),
    ):
        type_box(browser, numbers)
        until(lambda words=words: words in text(browser, "#message .bad"))
    assert len(pictures(browser, "#gallery img", 2)) == 2  # what was there stays
    screenshot(browser, "bad box")
    type_box(browser, "700, 90, 200, 200")
    until(lambda: "3 faces, 1 of them by hand, 3 recovered." in text(browser, "#message"))
    press(browser, "#back")
    until(lambda: "2 faces found, 2 recovered." in text(browser, "#message"))


def test_a_box_where_no_face_was_found(browser, tmp_path):
    images.write_png(tmp_path / "wall.png", composed.scene([], 5)[0])
    give(browser, tmp_path / "wall.png")
    until(lambda: "No face was found" in text(browser, "#message"))
    until(lambda: not shown(browser, "#results") and shown(browser, "#found"))
    screenshot(browser, "no face")
    drag(browser, (0.3, 0.3, 0.2, 0.3))
    until(lambda: "1 face, 1 of them by hand, 1 recovered." in text(browser, "#message"))
    assert len(pictures(browser, "#slider img", 2)) == 2


def test_examples_can_be_clicked(browser):
    take_away(browser)
    assert text(browser, "#examples").count("tilted") == 2
    screenshot(browser, "start")
    for k, words in (
        (0, "1 face found, 1 recovered."),
        (1, "as a whole"),
        (2, "as a whole"),
        (3, "as a whole"),
    ):
        press(browser, f"#example_{k}")
        until(lambda words=words: words in text(browser, "#message"))
        assert pictures(browser, "#slider img", 2)[0].shape[0] == (512 if k == 0 else 128)
    until(lambda: find(browser, "#drop img"))
    screenshot(browser, "example")


def test_it_fits_a_phone(browser):
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        widths = "return [innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth]"
        until(lambda: browser.execute_script(widths) == [390] * 3)
        outside = """return [...document.querySelectorAll('#results *, #drop *, #notice')].filter(one => {
            const box = one.getBoundingClientRect(); return box.width && box.right > 391 }).length"""
        until(lambda: browser.execute_script(outside) == 0)
        screenshot(browser, "phone")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_bad_files_are_explained_and_the_next_one_works(browser, tmp_path):
    big = Image.new("1", (5000, 5001))
    stream = io.BytesIO()
    big.save(stream, "PNG")
    bad = {
        "notes.png": (b"Dear diary, this is no picture. " * 20, "received text"),
        "nothing.jpg": (b"", "0 bytes"),
        "half.png": (images.encode_png(sample.photo())[:9000], "end"),
        "large.png": (stream.getvalue(), "25,000,000 pixels"),
        "<img src=x onerror=document.title=1>.png": (b"%PDF-1.4", "PDF"),
    }
    for name, (data, words) in bad.items():
        (tmp_path / name).write_bytes(data)
        give(browser, tmp_path / name)
        until(lambda name=name: f"“{name}” cannot be used" in text(browser, "#message"))
        assert words in text(browser, "#message")
        until(lambda: not shown(browser, "#results, #found"))
        screenshot(browser, f"bad {len(data)}")
    assert browser.title == page.TITLE
    images.write_png(tmp_path / "face.png", painted("impasto"))
    give(browser, tmp_path / "face.png")
    until(lambda: "as a whole is taken for one face" in text(browser, "#message"))
    assert len(pictures(browser, "#slider img", 2)) == 2


def test_the_camera_gives_a_picture(browser):
    """Chromium's own test picture, which has no face."""
    take_away(browser)
    until(lambda: find(browser, "#drop [aria-label='Capture from camera']"))[0].click()
    films = "return [...document.querySelectorAll('#drop video')].some(one => one.currentTime > 0.3)"

    def filming():
        for button in find(browser, "#drop [title='grant webcam access']"):
            button.click()
        return browser.execute_script(films) and find(browser, "#drop [aria-label='capture photo']")

    until(filming)[0].click()
    until(lambda: "No face was found" in text(browser, "#message"))
    until(lambda: not shown(browser, "#results") and shown(browser, "#found"))
    drag(browser, (0.4, 0.4, 0.3, 0.3))
    until(lambda: "1 face, 1 of them by hand, 1 recovered." in text(browser, "#message"))
    assert len(pictures(browser, "#slider img", 2)) == 2
    inside = """const [row, link] = ['#files tr', '#files a[download]'].map(
        one => document.querySelector(one).getBoundingClientRect());
        return link.width > 0 && link.right < row.right"""
    until(lambda: browser.execute_script(inside))
    screenshot(browser, "camera")


def test_nothing_is_fetched_from_elsewhere(browser, served):
    seen = hosts(browser)
    assert served[0].rstrip("/") in seen
    assert {host for host in seen if host not in ("data:", "blob:")} == {served[0].rstrip("/")}


def ask(address, data):
    """What the page makes of a value for its picture that no browser sends."""
    body = json.dumps({"data": [data], "fn_index": 0, "session_hash": "test"}).encode()
    own = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        f"{address}/gradio_api/queue/join", body, {"Content-Type": "application/json"}
    )
    own.open(request, timeout=60).read()
    with own.open(f"{address}/gradio_api/queue/data?session_hash=test", timeout=60) as answer:
        for line in answer:
            if b"process_completed" in line:
                break
    return json.loads(line.removeprefix(b"data: "))


def upload(address, data):
    """Uploads a file as the page does; returns where it lies."""
    part = 'Content-Disposition: form-data; name="files"; filename="x.png"\r\nContent-Type: image/png'
    body = f"--b\r\n{part}\r\n\r\n".encode() + data + b"\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{address}/gradio_api/upload", body, kind)
    return json.loads(fetch(request))[0]


def test_only_uploaded_files_are_read(served, painting):
    meta = {"meta": {"_type": "gradio.FileData"}, "orig_name": "x.png"}
    uploaded = upload(served[0], b"text")
    assert "cannot be used" in json.dumps(ask(served[0], {"path": uploaded, **meta}))
    for data in (b"0" * (result.FILE_BYTES + 1), b"0" * (app.BODY_BYTES + 1)):
        with pytest.raises(urllib.error.URLError):  # an HTTP 413, or the connection is closed before the end
            upload(served[0], data)
    for path in (str(painting), "/etc/hostname", "http://127.0.0.1:9/x.png", "https://example.org/x.png"):
        assert ask(served[0], {"path": path, **meta})["success"] is False
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(f"{served[0]}/gradio_api/file={urllib.parse.quote(str(painting))}")
    assert refused.value.code in (403, 404)


def test_a_model_that_can_be_told_of_the_sitter_has_a_slider_for_each_attribute(chromium, tmp_path):
    """The last test here: the browser goes to another page."""
    from selenium.webdriver.common.keys import Keys

    small_model.write_run(tmp_path / "run", small_model.TOLD)
    export.run(tmp_path / "run", tmp_path / "models" / "1")
    model, portrait = Recoverer.load(tmp_path / "models"), images.letterbox(sample.photo(), 32)
    expected = {
        told: model.with_attributes(told)(portrait[None])[0]
        for told in ("", "Smiling=1", "Smiling=1,Male=-0.1")
    }
    images.write_png(tmp_path / "face.png", sample.photo())
    (tmp_path / "kept").mkdir()

    def range_of(name):
        return find(chromium, f"#{name} input[type=range]")[0]

    def recovered(told):
        return until(lambda: np.array_equal(pictures(chromium, "#gallery img", 1)[0], expected[told]))

    with started(tmp_path / "kept", f"--model={tmp_path / 'models'}", "--faces=whole") as address:
        chromium.get(address)
        give(chromium, tmp_path / "face.png")
        recovered("")
        until(lambda: find(chromium, "#attributes button"))[0].send_keys(Keys.ENTER)
        until(lambda: len(find(chromium, "#attributes input[type=range]")) == len(NAMES))
        range_of("Smiling").send_keys(Keys.END)
        recovered("Smiling=1")
        give(chromium, tmp_path / "face.png")  # the next picture is asked for with the same words
        recovered("Smiling=1")
        range_of("Male").send_keys(Keys.ARROW_LEFT)
        recovered("Smiling=1,Male=-0.1")
        until(lambda: "no evidence: Male=-0.1, Smiling=1" in text(chromium, "#message"))
        screenshot(chromium, "attributes")
        link = until(lambda: find(chromium, "#files a[download]"))[0].get_attribute("href")
        with Image.open(io.BytesIO(fetch(link))) as file:
            assert file.text["ifrp_tf"].endswith("; told Male=-0.1,Smiling=1")
        find(chromium, "#reset")[0].send_keys(Keys.ENTER)
        recovered("")
        until(lambda: {range_of(name).get_attribute("value") for name in NAMES} == {"0"})
        assert "told" not in text(chromium, "#message")
