from __future__ import annotations

import pytest

N6 = ("--target", "neural-art-stm32n6")


def test_the_exact_front_is_printed_and_drawn(npu_tune, here):
    ended = npu_tune("front", "ds-cnn", *N6, "--plot", "front.svg")
    assert ended.code == 0, ended.err
    assert "Front (exact; " in ended.out
    assert "all solutions ..." in ended.err
    assert (here / "front.svg").read_text().startswith("<?xml")


def test_what_cannot_be_found_exactly_is_answered_with_the_bound(npu_tune):
    ended = npu_tune("front", "ds-cnn", *N6, "--most-labels", 2, "--quiet")
    assert ended.code == 0, ended.err
    assert "Bound, not a front: The exact front takes more than 2 labels." in ended.out
    assert not ended.err


@pytest.mark.slow
def test_a_study_is_held_against_the_optimum_in_the_documented_schema(npu_tune, here):
    tuned = npu_tune(
        "tune", "ds-cnn", *N6, "--workers", 1, "--evaluations", 40, "--study", "s", "--quiet"
    )
    assert tuned.code == 0, tuned.err
    document = npu_tune("front", "ds-cnn", *N6, "--study", "s", "--quiet", "--json").document
    assert document["kind"] == "exact"
    standing = document["standing"]
    assert standing["excess"] >= 0
    assert 0 < standing["hypervolume_share"] <= 1
    assert len(document["front"]["points"]) > 1
    bounded = npu_tune(
        "front", "ds-cnn", *N6, "--study", "s", "--quiet", "--most-labels", 2, "--json"
    ).document
    assert bounded["kind"] == "bound"
    assert bounded["standing"]["hypervolume_share"] is None
    assert bounded["standing"]["least_cost"] <= standing["least_cost"]
    text = npu_tune("front", "ds-cnn", *N6, "--study", "s", "--quiet", "--plot", "s.png")
    assert "above the optimum" in text.out
    other = npu_tune("front", "resnet8", *N6, "--study", "s", "--quiet")
    assert other.code == 5


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("front", "ds-cnn", "--target", "ethos-u55-128"), 4, "knows no optima"),
        (("front", "ds-cnn", *N6, "--objective", "latency"), 2, "no metric|does not report"),
        (("front", "ds-cnn", *N6, "--study", "nowhere"), 2, "no study"),
    ],
)
def test_what_makes_no_sense_ends_with_its_documented_code(npu_tune, here, arguments, code, words):
    ended = npu_tune(*arguments)
    assert ended.code == code
    assert any(word in ended.err for word in words.split("|"))
