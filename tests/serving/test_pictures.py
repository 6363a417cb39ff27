"""Whole pictures, and files of every kind, over real sockets."""

import base64
import json

import grpc
import numpy as np
import pictures
import pytest
import served
import strangers
from PIL import Image
from served import NAME, SIDE, direct
from skimage import data as samples

from ifrp_tf.cli import recover_remote
from ifrp_tf.client import Client, RemoteError
from ifrp_tf.client.wire import PICTURE
from ifrp_tf.core.errors import ImageError
from ifrp_tf.demo import model as demo_model
from ifrp_tf.demo import result as demo
from ifrp_tf.pictures import images
from ifrp_tf.recovery import remote
from ifrp_tf.serving.model import ServedModel
from ifrp_tf.serving.pictures import MAX_PIXELS

SCENE = pictures.scene(60, 44)
CUT_OUT = np.dstack([SCENE, np.zeros(SCENE.shape[:2], np.uint8)])
CUT_OUT[20:40, 10:30, 3] = 255


@pytest.fixture(scope="module")
def endpoint():
    with served.inside() as opened:
        yield opened


@pytest.fixture(params=["grpc", "rest"])
def client(endpoint, request):
    port = endpoint.port if request.param == "grpc" else endpoint.rest_port
    with Client(f"localhost:{port}", NAME, request.param, timeout=60.0) as client:
        yield client


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def asked(endpoint, **inputs):
    return endpoint.post({"signature_name": PICTURE[0], "inputs": inputs})


def astronaut():
    """A photograph with one face, and where it is: x, y, width, height."""
    return np.ascontiguousarray(samples.astronaut()[:220, 110:330]), (75, 60, 80, 110)


def test_files_are_read_as_images_reads_them(endpoint):
    files = [pictures.with_exif("JPEG", orientation, SCENE) for orientation in range(1, 9)]
    files += [pictures.save(CUT_OUT, "PNG"), pictures.save(SCENE, "WEBP"), pictures.save(SCENE, "TIFF")]
    files += [strangers.linear_named("linear light")]
    expected = np.stack([direct(images.letterbox(images.read(file).pixels, SIDE)[None])[0] for file in files])
    rows = [{"portrait_bytes": b64(file)} for file in files]
    status, answer = endpoint.post({"signature_name": "recover_bytes", "instances": rows})
    assert status == 200, answer
    photos = np.stack([images.read(base64.b64decode(one["b64"])).pixels for one in answer["predictions"]])
    assert np.abs(photos.astype(int) - expected).max() <= 1


def test_half_a_file_is_said_in_words(endpoint):
    half = pictures.save(SCENE, "JPEG")[:700]
    for signature, name in (("recover_bytes", "portrait_bytes"), PICTURE[:2]):
        inputs = {name: b64(half) if signature == PICTURE[0] else [b64(half)]}
        status, answer = endpoint.post({"signature_name": signature, "inputs": inputs})
        assert status == 400
        assert "the end of the JPEG data is missing" in answer["error"]
        assert "download the file again" in answer["error"]


def test_a_bad_file_costs_only_its_own_request(endpoint):
    good, bad = pictures.save(SCENE, "PNG"), b"<html>404</html>"
    assert endpoint.post({"signature_name": "recover_bytes", "instances": [b64(good)]})[0] == 200
    status, answer = endpoint.post({"signature_name": "recover_bytes", "instances": [b64(good), b64(bad)]})
    assert (status, "an HTML page" in answer["error"]) == (400, True)


def test_a_forgotten_signature_is_named(endpoint):
    file = b64(pictures.save(SCENE, "PNG"))
    for body, wanted in (
        ({"instances": [{"portrait_bytes": file}]}, "recover_bytes"),
        ({"instances": [file]}, "recover_bytes"),
        ({"inputs": {"picture_bytes": file}}, PICTURE[0]),
    ):
        status, answer = endpoint.post(body)
        assert status == 400
        assert f'Set "signature_name" to "{wanted}"' in answer["error"]
    with pytest.raises(grpc.RpcError, match='Set "signature_name" to "recover_bytes"'):
        endpoint.predict(portrait_bytes=[pictures.save(SCENE, "PNG")])


def test_a_whole_picture_with_its_face(client):
    pixels, (x, y, width, height) = astronaut()
    turned = pictures.save(np.rot90(pixels), "PNG", exif=exif(6))
    answer = client.recover_picture(turned, paste=True)
    (face,) = answer.faces
    found = face.box
    assert abs(found[0] + found[2] / 2 - (x + width / 2)) < 30
    assert abs(found[1] + found[3] / 2 - (y + height / 2)) < 30
    assert face.photo.shape == (SIDE, SIDE, 3)
    assert face.score > 0.9
    assert (face.found_by, face.reason) == ("blazeface", "")
    assert any("orientation 6" in note for note in answer.notes)
    pasted = images.read(answer.pasted).pixels
    assert pasted.shape == pixels.shape
    np.testing.assert_array_equal(pasted[:, -10:], pixels[:, -10:])
    assert np.abs(pasted.astype(int) - pixels)[y : y + height, x : x + width].mean() > 5


def exif(orientation):
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def test_a_face_as_a_whole_and_one_that_is_too_small(client):
    pixels, _ = astronaut()
    whole = client.recover_picture(pixels, faces="whole")
    (face,) = whole.faces
    np.testing.assert_array_equal(face.photo, direct(images.letterbox(pixels, SIDE)[None])[0])
    assert (face.box, face.found_by, whole.pasted) == ((0, 0, 220, 220), "whole", b"")
    (small,) = client.recover_picture(pixels, boxes=[[3, 3, 12, 12]]).faces
    assert (small.photo, small.reason) == (None, "too_small")


def test_what_is_generated_says_so(endpoint):
    status, answer = asked(
        endpoint, picture_bytes=b64(pictures.save(SCENE, "PNG")), options='{"faces": "whole"}'
    )
    assert status == 200
    photo = base64.b64decode(answer["outputs"]["photo_bytes"][0]["b64"])
    assert b"generated face, not evidence; model toy/1; sha256" in photo


REFUSED = {
    "no json": ("{", "options: expected a JSON object"),
    "list": ("[1]", "Received: list"),
    "unknown": ('{"colour": 1}', "Received: ['colour']"),
    "too much": ('{"uncertainty": true}', "Received: ['uncertainty']"),
    "strength": ('{"strength": 7}', "from 0 to 1"),
    "kind": ('{"strength": "x", "paste": true}', "not supported between"),
    "boxes": ('{"boxes": [[1, 2]]}', "boxes [x, y, width, height]"),
    "far off": ('{"boxes": [[1e999, 2, 3, 4]]}', "boxes [x, y, width, height]"),
    "outside": ('{"boxes": [[900, 2, 30, 40]]}', "within 44 x 60"),
    "contradiction": ('{"faces": "whole", "paste": true}', "auto"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_are_checked(endpoint, case):
    text, words = REFUSED[case]
    status, answer = asked(endpoint, picture_bytes=b64(pictures.save(SCENE, "PNG")), options=text)
    assert status == 400
    assert words in answer["error"]


def test_one_picture_a_request_and_not_too_large(endpoint):
    file = b64(pictures.save(SCENE, "PNG"))
    assert "expected one. Received: 2" in asked(endpoint, picture_bytes=[file, file])[1]["error"]
    status, answer = endpoint.post({"signature_name": PICTURE[0], "instances": [file]})
    assert (status, "as {" in answer["error"]) == (400, True)
    large = pictures.png(8000, 6000, 8, 2, b"")
    status, answer = asked(endpoint, picture_bytes=b64(large))
    assert (status, f"{MAX_PIXELS:,} pixels" in answer["error"]) == (400, True)


def test_the_signature_is_in_the_metadata_unless_turned_off(endpoint, client):
    assert set(client.metadata().signatures) >= {"serving_default", "recover_bytes", PICTURE[0]}
    plain = ServedModel(NAME, 1, served.released() / "1", pictures=False)
    assert PICTURE[0] not in plain.definitions
    with pytest.raises(Exception, match="recover_picture"):
        plain.signature(PICTURE[0])


def test_what_cannot_be_sent(client, tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        client.recover_picture(tmp_path / "none.jpg")
    with pytest.raises(RemoteError, match="picture_bytes: "):
        client.recover_picture(b"no picture")


def test_the_web_page_has_the_server_find_the_faces(endpoint, tmp_path):
    pixels, box = astronaut()
    images.write_png(tmp_path / "in.png", pixels)
    opened = demo_model.served(f"grpc://localhost:{endpoint.port}", NAME)
    one = demo.recover(tmp_path / "in.png", "in.png", opened)
    assert isinstance(one.recoverer.detector, remote.ServerFinder)
    assert one.message() == "1 face found, 1 recovered."
    (found,) = one.done.scene.faces
    drawn = demo.recover_in_box(one, ", ".join(map(str, box)), opened)
    (face,) = drawn.done.scene.faces
    assert (found.found_by, face.found_by) == ("blazeface", "box+")
    assert abs(found.place.x - face.place.x) < 6


def test_recover_remote_has_the_server_find_the_faces(client, endpoint, tmp_path):
    pixels, _ = astronaut()
    images.write_png(tmp_path / "in.png", pixels)
    protocol = "rest" if client.address.endswith(str(endpoint.rest_port)) else "grpc"
    code = recover_remote.run(
        recover_remote.Request(
            address=client.address, input=str(tmp_path / "in.png"), output=str(tmp_path / "out"),
            model_name=NAME, protocol=protocol, faces="auto", paste=True,
        )
    )  # fmt: skip
    assert code == 0
    (listed,) = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    (face,) = listed["faces"]
    assert face["found_by"] == "blazeface"
    assert (tmp_path / "out" / "in_pasted.png").exists()
    (there,) = client.recover_picture(pixels).faces
    recovered = images.read(tmp_path / "out" / face["recovered"]).pixels
    assert np.abs(recovered.astype(int) - there.photo).max() <= 1
    served_by = remote.recoverer(client)
    assert isinstance(served_by.detector, remote.ServerFinder)
    with pytest.raises(ImageError, match="pixels") as caught:
        served_by.recover_faces(
            np.repeat(np.uint8([0, 200]), 4000)[:, None, None].repeat(6000, 1).repeat(3, 2)
        )
    assert caught.value.reason == "no_answer"
