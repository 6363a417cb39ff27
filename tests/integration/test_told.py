"""A model that is told attributes, from its export to what a user gets: here, over gRPC and over REST."""

import json

import numpy as np
import pytest
import served
import small_model
from PIL import Image
from served import portraits

from ifrp_tf.cli import recover, recover_remote
from ifrp_tf.client.client import Client, RemoteError
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data.attributes import NAMES, parse
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Options, Recoverer
from ifrp_tf.release import export

WORDS = "male=1, smile=0.5,beard=-1"
SPELLED = "Male=1,Smiling=0.5,No_Beard=1"


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    small_model.write_run(folder / "run", small_model.TOLD)
    export.run(folder / "run", folder / "models" / "1")
    return folder / "models"


@pytest.fixture(scope="module")
def model(versions):
    return Recoverer.load(versions)


@pytest.fixture(scope="module")
def endpoint(versions):
    with served.any_server(versions) as opened:
        yield opened


@pytest.fixture(params=["grpc", "rest"])
def client(request, endpoint):
    port = endpoint.port if request.param == "grpc" else endpoint.rest_port
    with Client(f"localhost:{port}", served.NAME, request.param, timeout=20.0) as client:
        yield client


@pytest.fixture
def portrait(tmp_path):
    path = tmp_path / "portrait.png"
    images.write_png(path, portraits(1)[0])
    return path


def written(output):
    """The picture in an output folder, what is written in it, and the report."""
    (path,) = output.glob("*_recovered.png")
    with Image.open(path) as picture:
        return (
            images.read(path).pixels,
            picture.text["ifrp_tf"],
            json.loads((output / "report.json").read_text()),
        )


def test_another_vector_gives_another_answer_and_zeros_the_usual_one(model):
    batch, vector = portraits(3), parse(WORDS)
    usual, told = model(batch), model.with_attributes(WORDS)(batch)
    assert (told != usual).any()
    np.testing.assert_array_equal(model.with_attributes(vector)(batch), told)
    np.testing.assert_array_equal(model.with_attributes(0 * vector)(batch), usual)
    np.testing.assert_array_equal(model(batch), usual)  # the model itself was told nothing
    np.testing.assert_array_equal(model.function(Options(attributes=WORDS))(batch), told)
    found = model.recover_faces(batch[0], Options(faces="whole", attributes=WORDS))
    np.testing.assert_array_equal(found.recovered[0], told[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [("smilling=1", "smiling"), ("male=2", "from -1"), ("male", "name=value"), ([1], "as text")],
)
def test_wrong_words_are_refused_before_anything_is_loaded(words, message):
    with pytest.raises(ConfigError) as caught:
        Options(attributes=words)
    assert message in str(caught.value)


def test_a_model_that_cannot_be_told_says_so(model, portrait, tmp_path):
    plain = Recoverer.load(served.released())
    with pytest.raises(ConfigError, match="can be told `attributes`"):
        plain.recover_folder(portrait, tmp_path / "out", options=Options(faces="whole", attributes=WORDS))
    assert not list((tmp_path / "out").glob("*.png"))
    for bad in (np.ones(3), np.full(len(NAMES), 2.0), np.full(len(NAMES), np.nan)):
        with pytest.raises(ConfigError, match="14 numbers from -1 to 1"):
            model.with_attributes(bad)


def test_the_command_says_in_the_report_and_in_the_picture_what_was_asked_for(
    versions, model, portrait, tmp_path, capsys
):
    request = recover.Request(
        input=(str(portrait),), output=str(tmp_path / "out"), model=str(versions), attributes=WORDS
    )
    assert recover.run(request) == 0
    pixels, text, report = written(tmp_path / "out")
    np.testing.assert_array_equal(pixels, model.with_attributes(WORDS)([str(portrait)] * 16)[0])
    assert text.endswith(f"; told {SPELLED}")
    assert report["model"]["attributes"] == SPELLED
    assert recover.run(request) == 0  # the same again: nothing to do
    assert "1 skipped" in capsys.readouterr().out
    other = recover.Request(**{**vars(request), "attributes": "male=-1"})
    assert recover.run(other) == 1  # others' answers are not taken for these, nor written over
    assert recover.run(recover.Request(**{**vars(other), "overwrite": True})) == 0
    assert (written(tmp_path / "out")[0] != pixels).any()


def test_a_told_recoverer_says_it_too(model, portrait, tmp_path):
    model.with_attributes(WORDS).recover_folder(portrait, tmp_path / "out", options=Options(faces="whole"))
    assert written(tmp_path / "out")[1].endswith(SPELLED)


def test_the_client_carries_the_vector(client, model):
    batch, vector = portraits(5), parse(WORDS)
    assert client.metadata().attributes == len(NAMES)
    told = model.with_attributes(vector)(batch)
    assert np.abs(client.recover(batch, vector).astype(int) - told).max() <= 1
    assert np.abs(client.recover(batch[0], vector).astype(int) - told[0]).max() <= 1
    rows = np.stack([vector, 0 * vector, -vector, vector, vector])
    mixed = client.recover_batch(batch, rows)
    assert np.abs(mixed[[0, 3, 4]].astype(int) - told[[0, 3, 4]]).max() <= 1
    assert np.abs(mixed[1].astype(int) - model(batch)[1]).max() <= 1
    for bad in (vector[:3], 2 * vector):
        with pytest.raises(ConfigError, match="14 attributes from -1 to 1"):
            client.recover(batch, bad)


def test_the_server_is_told_about_whole_pictures(client, model):
    found = client.recover_picture(images.encode_png(portraits(1)[0]), faces="whole", attributes=WORDS)
    expected = model.with_attributes(WORDS)(portraits(1))[0]
    assert np.abs(found.faces[0].photo.astype(int) - expected).max() <= 1
    with pytest.raises(RemoteError, match="smiling"):
        client.recover_picture(images.encode_png(portraits(1)[0]), attributes="smilling=1")


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_recover_remote_writes_what_recover_writes(protocol, endpoint, model, portrait, tmp_path):
    port = endpoint.port if protocol == "grpc" else endpoint.rest_port
    request = recover_remote.Request(
        address=f"localhost:{port}", protocol=protocol, model_name=served.NAME, input=(str(portrait),),
        output=str(tmp_path / "out"), faces="whole", attributes=WORDS,
    )  # fmt: skip
    assert recover_remote.run(request) == 0
    pixels, text, report = written(tmp_path / "out")
    expected = model.with_attributes(WORDS)([str(portrait)] * 16)[0]
    assert np.abs(pixels.astype(int) - expected).max() <= 1
    assert SPELLED in text
    assert report["model"]["attributes"] == SPELLED
