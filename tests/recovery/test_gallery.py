import csv
import json
import os
from urllib.parse import quote

import numpy as np
import pytest

from ifrp_tf.core.errors import DataError
from ifrp_tf.pictures import framing, images
from ifrp_tf.recovery import gallery, manifest
from ifrp_tf.recovery.folder import is_output
from ifrp_tf.recovery.recoverer import ENLARGED

MODEL = {"name": "ifrp/1", "sha256": "ab" * 32}


def face(name, **more):
    return {"box": [1, 2, 30, 40], "found_by": "mtcnn", "score": 0.9, "tilt": -3.0, "recovered": name, **more}


@pytest.fixture
def report(tmp_path):
    (tmp_path / "sub & <b>").mkdir()
    names = [f"sub & <b>/x_face{k}_recovered.png" for k in (1, 2)]
    for k, name in enumerate(names):
        images.write_png(tmp_path / name, np.full((64, 64, 3), 90 * k, np.uint8))
    tiles = np.stack([np.full((64, 64, 3), level, np.uint8) for level in (30, 90, 200)])
    images.write_png(tmp_path / "x_face3_side_by_side.png", framing.grid([tiles]))
    small = face(None, reason="too_small")
    sure = {"uncertainty": "x_face3_uncertainty.png", "uncertainty_value": 7.25, "answers": "several.png"}
    pictures = [
        {"input": "in/x <1>.tif", "status": "recovered", "reason": "", "message": "", "pasted": "p.png",
         "notes": ["exif orientation 6 applied"],
         "faces": [face(names[0]), small, face(names[1], side_by_side="x_face3_side_by_side.png", **sure)]},
        {"input": "=cmd()", "status": "failed", "reason": "no_face", "message": "no <face> was found.",
         "faces": []},
        {"input": "caf\udce9.png", "status": "skipped", "reason": "up_to_date", "message": "",
         "notes": [f"faces enlarged: {ENLARGED}"], "faces": [face("gone.png", found_by="whole")]},
    ]  # fmt: skip
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"model": MODEL, "pictures": pictures, "counts": {}, "interrupted": False}))
    return path


def test_the_table_has_a_line_a_face(report):
    with open(manifest.write_table(report), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["input"], row["face"], row["reason"]) for row in rows] == [
        ("in/x <1>.tif", "1", ""),
        ("in/x <1>.tif", "2", "too_small"),
        ("in/x <1>.tif", "3", ""),
        ("'=cmd()", "", "no_face"),
        ("caf\\udce9.png", "1", "up_to_date"),
    ]
    assert [rows[0][name] for name in ("x", "y", "width", "height", "tilt")] == ["1", "2", "30", "40", "-3.0"]
    notes = ["exif orientation 6 applied"] * 3 + ["", f"faces enlarged: {ENLARGED}"]
    assert [row["notes"] for row in rows] == notes
    assert [row["uncertainty_value"] for row in rows] == ["", "", "7.25", "", ""]


def test_the_page_shows_every_picture_and_links_to_inputs_and_outputs(report):
    page = gallery.write_pages(report).read_text()
    assert page.count("<figure") == 3
    assert ">in/x &lt;1&gt;.tif</a>" in page
    assert "no &lt;face&gt; was found" in page
    assert 'src="sub%20%26%20%3Cb%3E/x_face1_recovered.png"' in page
    assert 'src="x_face3_side_by_side.png" alt="portrait and recovered face, found by mtcnn"' in page
    assert f'src="{quote("sub & <b>/x_face2_recovered.png")}"' not in page  # it is in that one
    assert "the portrait, the recovered face, and it in its picture" in page
    assert 'src="x_face3_uncertainty.png" alt="uncertainty 7.25"' in page
    assert 'src="several.png" alt="several plausible answers: the face is a guess"' in page
    assert "exif orientation 6 applied" in page
    assert ENLARGED in page
    assert page.count(' look">') == 2  # one that failed, one with a note
    assert "only the 2 with something to know of" in page
    assert quote(os.path.relpath("in/x <1>.tif", report.parent)) in page
    assert quote(os.path.relpath("caf\udce9.png", report.parent).encode("utf-8", "surrogateescape")) in page
    assert "not evidence" in page
    assert "http" not in page
    sheet = report.with_name("contact_sheet_1.png")
    assert is_output(sheet.read_bytes())
    pixels = images.read(sheet).pixels
    assert pixels.shape == (132, 2 * 258 + 2, 3)  # what is gone has no tile
    assert [pixels[64, x, 0] for x in (64, 192, 322, 450)] == [255, 0, 30, 90]  # portrait, face; twice


def test_faces_are_numbered_on_small_copies(report):
    content = json.loads(report.read_text())
    given, pasted = report.with_name("given.png"), np.full((600, 960, 3), 200, np.uint8)
    images.write_png(given, pasted // 2)
    images.write_png(report.with_name("p.png"), pasted)
    (one, *_) = content["pictures"]
    one |= {"input": str(given), "page": 1}
    for k, each in enumerate(one["faces"]):
        each |= {"box": [100 + 250 * k, 200, 160, 160], "side": 160.0}
    report.write_text(json.dumps({**content, "pictures": [one]}))
    page = gallery.write_pages(report).read_text()
    faces, small = sorted(report.parent.glob("gallery/*.png"))
    assert f'<a href="given.png"><img class="thumbnail" loading="lazy" src="gallery/{faces.name}"' in page
    assert "given.png, page 1</a>" in page
    assert f'<a href="p.png"><img class="thumbnail" loading="lazy" src="gallery/{small.name}"' in page
    pixels = images.read(faces).pixels
    assert pixels.shape == (300, 480, 3)
    found = [(pixels == colour).all(-1).any(0).nonzero()[0] for colour in ((255, 208, 0), (170, 170, 170))]
    assert (found[0].min(), found[0].max()) == pytest.approx((50, 380), abs=2)  # the first and the third
    assert (found[1].min(), found[1].max()) == pytest.approx((175, 255), abs=2)  # too small to recover
    assert images.read(small).pixels.min() == 200
    assert is_output(faces.read_bytes())  # never an input


def test_sheets_are_bounded(report):
    content = json.loads(report.read_text())
    content["pictures"] = content["pictures"][:1] * 31
    report.write_text(json.dumps(content))
    gallery.write_pages(report)
    shapes = [images.read(path).pixels.shape[0] for path in sorted(report.parent.glob("contact_sheet_*.png"))]
    assert shapes == [10 * 130 + 2, 130 + 2]


def test_what_is_no_report_is_refused(tmp_path):
    for content in ("", "{}", "[]"):
        (tmp_path / "report.json").write_text(content)
        with pytest.raises(DataError, match="report"):
            manifest.write_table(tmp_path / "report.json")
