from __future__ import annotations

from npu_tune.network import zoo_network
from npu_tune.tuning.warm.matching import Match, match_layers
from npu_tune.tuning.warm.traits import LayerTraits, layer_traits


def conv(size, position, weights=(3.0,)):
    return LayerTraits("convolution", (size, size, 1.0), weights, position)


def test_a_layer_of_equal_shapes_is_taken_before_one_at_the_same_place():
    there = {"near": conv(5.0, 0.0), "equal": conv(7.0, 1.0)}
    match = match_layers({"here": conv(7.0, 0.0)}, there)

    assert match.of == {"here": "equal"}
    assert (match.exact, match.layers) == (1, 1)


def test_of_equal_layers_the_one_at_the_same_relative_place_is_taken():
    there = {name: conv(7.0, place) for name, place in (("a", 0.0), ("b", 0.5), ("c", 1.0))}
    match = match_layers({"first": conv(7.0, 0.1), "last": conv(7.0, 0.9)}, there)

    assert match.of == {"first": "a", "last": "c"}


def test_the_nearest_sizes_stand_for_a_layer_whose_shapes_are_not_there():
    match = match_layers(
        {"here": conv(6.8, 0.0)}, {"small": conv(3.0, 0.0), "large": conv(7, 0.5)}
    )

    assert match.of == {"here": "large"}
    assert match.exact == 0


def test_layers_of_other_operators_do_not_match():
    there = {"pool": LayerTraits("maximum", (7.0, 7.0, 0.0), (), 0.0)}
    assert match_layers({"here": conv(7.0, 0.0)}, there).of == {}


def test_what_a_target_made_itself_matches_what_has_the_same_name():
    made = LayerTraits("", (), (), 0.0)
    assert match_layers({"load": made, "other": made}, {"load": made}).of == {"load": "load"}


def test_a_network_in_the_other_format_matches_layer_by_layer():
    traits = []
    for form in ("onnx", "tflite"):
        network = zoo_network("ds-cnn", format=form)
        kept = [layer.name for layer in network.layers if "CONV" in layer.op.upper()]
        traits.append(layer_traits(network, kept))
    match = match_layers(*traits)

    assert list(match.of.values()) == list(traits[1])
    assert match.exact == len(traits[0])


def test_several_layers_alike_have_a_say_the_more_the_more_they_are_alike():
    there = {
        name: conv(size, 0.0)
        for name, size in zip("abcde", (7.0, 7.5, 6.0, 8.5, 20.0), strict=True)
    }
    kin = match_layers({"here": conv(7.0, 0.0)}, there).kin["here"]

    assert [name for name, _ in kin] == ["a", "b", "c"]
    assert kin[0][1] == 1.0 > kin[1][1] > kin[2][1] > 0


def test_what_is_unlike_in_every_size_has_no_say():
    match = match_layers({"here": conv(2.0, 0.0)}, {"huge": conv(20.0, 0.0)})

    assert match.of == {"here": "huge"}
    assert match.kin == {"here": []}


def test_of_the_same_network_each_layer_stands_for_itself_alone():
    match = Match.of_same(["a", "b"], 3)

    assert match.of == {"a": "a", "b": "b"}
    assert match.kin == {"a": (("a", 1.0),), "b": (("b", 1.0),)}
    assert (match.exact, match.layers) == (2, 3)
