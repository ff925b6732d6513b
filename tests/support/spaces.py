"""Search spaces for tests: small ones by hand, any by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from npu_tune.space import Configuration, Knob, SearchSpace

_SCALARS = st.one_of(
    st.text("abcé -_.", max_size=8),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@st.composite
def knobs(draw, layer: str, name: str) -> Knob:
    values = tuple(draw(st.lists(_SCALARS, min_size=1, max_size=6, unique=True)))
    return Knob(
        layer=layer,
        name=name,
        values=values,
        default=draw(st.sampled_from(values)),
        ordered=draw(st.booleans()),
    )


@st.composite
def spaces(draw, max_layers: int = 4) -> SearchSpace:
    found = []
    for number in range(draw(st.integers(0, max_layers))):
        layer = draw(st.sampled_from(("conv", "block/conv", "network"))) + str(number)
        found += [draw(knobs(layer, f"knob{k}")) for k in range(draw(st.integers(1, 3)))]
    return SearchSpace(tuple(found))


@st.composite
def spaces_with_configuration(draw) -> tuple[SearchSpace, Configuration]:
    space = draw(spaces())
    chosen = {knob.full_name: draw(st.sampled_from(knob.values)) for knob in space.knobs}
    return space, Configuration.of(chosen)
