import random

from hardening.fuzz.mutations import NUMBERS, mend, mutate, number, pieces_of
from hardening.fuzz.samples import whole_pictures
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images

WHOLE = whole_pictures()


def test_equal_chances_make_equal_copies_and_nearly_all_differ_from_the_whole():
    whole, others = WHOLE["png texts"], list(WHOLE.values())
    made = [mutate(whole, others, random.Random(seed)) for seed in range(300)]
    assert made == [mutate(whole, others, random.Random(seed)) for seed in range(300)]
    assert len(set(made)) > 285
    assert made.count(whole) <= 10
    assert max(map(len, made)) <= 2**20


def test_nothing_and_a_byte_can_be_mutated():
    for data in (b"", b"x"):
        for seed in range(200):
            mutate(data, [], random.Random(seed))
            mutate(data, [b""], random.Random(seed))


def test_lists_of_parts_are_taken_apart_and_make_the_whole_again():
    counts = {name: len(pieces_of(data)) for name, data in WHOLE.items()}
    assert all(b"".join(pieces_of(data)) == data for data in WHOLE.values())
    assert (counts["png"], counts["png texts"], counts["bmp"]) == (4, 8, 1)
    assert counts["jpeg"] > 6
    assert counts["webp alpha exif icc"] == 6


def test_mending_lets_damage_through_to_the_decoder():
    damaged = WHOLE["png"][:16] + (100_000).to_bytes(4, "big") + WHOLE["png"][20:]
    reasons = []
    for data in (damaged, mend(damaged)):
        try:
            images.read(data)
        except ImageError as error:
            reasons.append(error.reason)
    assert reasons == ["corrupt", "too_large"]
    assert mend(WHOLE["webp"] + b"more")[4:8] == (len(WHOLE["webp"]) - 4).to_bytes(4, "little")
    assert all(mend(data) == data for data in WHOLE.values())


def test_numbers_fit_their_fields():
    chance = random.Random(3)
    for size in (1, 2, 4, 8):
        found = {number(chance, size, 40) for _ in range(2000)}
        assert max(found) < 256**size
        assert found >= {value for value in NUMBERS if value < 256**size} | {39, 41, 80, 20}
