import base64

import numpy as np
import pictures
import pytest
from model_servers import Model, rest_server

from ifrp_tf import images
from ifrp_tf.client_rest import RestTransport, decode_base64
from ifrp_tf.client_wire import RemoteError
from ifrp_tf.errors import ImageError

PORTRAITS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
PNG = images.encode_png(PORTRAITS[0])


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def transport(model):
    with rest_server(model) as address:
        transport = RestTransport(address, "ifrp")
        yield transport
        transport.close()


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_pictures_there_and_back(transport):
    np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 5.0), 255 - PORTRAITS)
    np.testing.assert_array_equal(transport.predict(PORTRAITS[:1], 1, 5.0), 255 - PORTRAITS[:1])


def test_a_server_may_name_its_only_output(transport, model):
    model.photos = lambda portraits: {
        "outputs": {"photo_bytes": [b64(images.encode_png(p)) for p in portraits]}
    }
    np.testing.assert_array_equal(transport.predict(PORTRAITS, None, 5.0), PORTRAITS)


def test_metadata_and_status(transport, model):
    model.versions = (2, 5)
    info = transport.metadata(None, 5.0)
    assert (info.name, info.version, info.side) == ("ifrp", 5, 32)
    assert info.signatures["recover_bytes"]["outputs"] == {"photo_bytes": ("DT_STRING", (-1,))}
    assert transport.metadata(2, 5.0).version == 2
    assert transport.status(5.0) == {2: "AVAILABLE", 5: "AVAILABLE"}


def test_a_model_that_takes_no_files_is_refused(transport, model):
    model.signatures = ("serving_default",)
    with pytest.raises(RemoteError, match="use the other protocol"):
        transport.metadata(None, 5.0)


@pytest.mark.parametrize("name", ["a/b", "a?b", "..", "a b\r\nX: y", "ä"])
def test_a_name_stays_one_part_of_the_path(model, name):
    with rest_server(model) as address:
        transport = RestTransport(address, name)
        with pytest.raises(RemoteError) as error:
            transport.status(5.0)
        assert error.value.code in ("NOT_FOUND", "UNAVAILABLE")
        transport.close()


@pytest.mark.parametrize(
    "outputs",
    [
        None,
        [],
        [b64(PNG)] * 2,
        [b64(PNG)] * 4,
        [b64(PNG)] * 2 + [base64.b64encode(PNG).decode()],
        [b64(PNG)] * 2 + [{"b64": "!"}],
        [b64(PNG)] * 2 + [{"b64": 7}],
        [b64(PNG)] * 2 + [b64(b"text")],
        [b64(PNG)] * 2 + [b64(PNG[:-20])],
        [b64(PNG)] * 2 + [b64(pictures.save(PORTRAITS[0], "JPEG"))],
        [b64(PNG)] * 2 + [b64(images.encode_png(np.zeros((32, 16, 3), np.uint8)))],
        [b64(PNG)] * 2 + [b64(pictures.png_bomb())],
        b64(PNG),
        {"photo_bytes": 3},
        PORTRAITS.tolist(),
    ],
    ids=str,
)
def test_unusable_answers_are_refused(transport, model, outputs):
    model.photos = lambda portraits: {"outputs": outputs}
    with pytest.raises(RemoteError, match="Expected .* Received: ") as error:
        transport.predict(PORTRAITS, None, 5.0)
    assert error.value.code == "BAD_ANSWER"
    assert len(str(error.value)) < 1000


def test_metadata_that_is_none_is_refused(transport, model, monkeypatch):
    for answer in ({}, {"metadata": 3}, {"metadata": {"signature_def": {"signature_def": {"x": None}}}}):
        monkeypatch.setattr(transport._http, "ask", lambda *_, answer=answer: answer)
        for question in (lambda: transport.metadata(None, 5.0), lambda: transport.status(5.0)):
            with pytest.raises(RemoteError) as error:
                question()
            assert error.value.code == "BAD_ANSWER"


def test_base64_as_it_occurs():
    data = bytes(range(256)) + b"\xfb\xff"
    text = base64.b64encode(data).decode()
    web_safe = base64.urlsafe_b64encode(data).decode()
    lines = "\r\n".join(text[k : k + 76] for k in range(0, len(text), 76))
    for given in (
        text,
        text.rstrip("="),
        web_safe,
        lines,
        text.encode(),
        f"data:image/png;base64,{text}",
        f" {text}\n",
    ):
        assert decode_base64(given) == data


@pytest.mark.parametrize("text", ["!", "a", "data:image/png;base64", "äöü", "=abc", "ab=cd"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(ImageError, match="expected base64"):
        decode_base64(text)
