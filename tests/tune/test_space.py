"""What there is to choose from, and the loads it is tried with."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tune.support import spaces
from trtasync.measure.loads import Closed
from trtasync.tune import Aim, Config, Space
from trtasync.tune.probes import index_below, rate_at


@given(st.floats(1e-3, 1e7))
def test_the_ladder(rate: float) -> None:
    index = index_below(rate)
    assert rate_at(index).rate <= rate < rate_at(index + 1).rate
    assert index_below(rate_at(index).rate) == index


@settings(max_examples=20)
@given(spaces(), st.data())
def test_neighbours_are_mutual_and_every_configuration_is_reached(
    space: Space, data: st.DataObject
) -> None:
    every = space.all()
    assert len(every) == len(set(every))
    chosen = data.draw(st.sampled_from(every))
    for each in space.neighbours(chosen):
        assert each in every
        assert chosen in space.neighbours(each)
    seen, rest = {chosen}, [chosen]
    while rest:
        fresh = [each for each in space.neighbours(rest.pop()) if each not in seen]
        seen.update(fresh)
        rest += fresh
    assert seen == set(every)


def test_what_comes_to_the_same_is_one_configuration() -> None:
    space = Space((1, 2), (1, 2, 8), ("any", "powers"), threads=(None, 1, 2), cores=2)
    assert space.normal(Config(1, 1, "powers")) == Config(1, 1, "any")
    assert space.normal(Config(1, 2, "powers")) == Config(1, 2, "powers")
    assert space.normal(Config(2, 8, "any", None, 1)) == Config(2, 8, "any")
    assert space.normal(Config(1, 8, "any", None, 2)) == Config(1, 8, "any")
    assert len(space.all()) == 2 * (1 + 2 + 2) * 2
    gpu = Space((1,), (2, 8), ("powers", "coarse"), (True,), natural={2: (1, 2), 8: (1, 2, 4, 8)})
    assert gpu.normal(Config(1, 2, "coarse", True)) == Config(1, 2, "powers", True)


def test_batch_sizes_and_options() -> None:
    space = Space((1,), (8, 64), ("any", "powers", "coarse", "full"))
    sizes = [space.sizes(Config(1, 64, kind)) for kind in space.buckets]
    assert sizes == [(), (1, 2, 4, 8, 16, 32, 64), (1, 4, 16, 64), (64,)]
    assert space.sizes(Config(1, 8, "coarse")) == (1, 2, 8)
    assert space.options(Config(2, 8, "any")) == {"streams": 2, "max_batch_size": 8}
    assert space.options(Config(1, 8, "full", False, 3)) == {
        "streams": 1,
        "max_batch_size": 8,
        "batch_sizes": [8],
        "graphs": False,
        "threads": 3,
    }
    natural = replace(space, natural={8: (2, 4, 8)})
    assert "batch_sizes" not in natural.options(Config(1, 8, "powers"))
    assert natural.options(Config(1, 8, "coarse"))["batch_sizes"] == [2, 8]


def test_the_closed_load_fills_the_lanes() -> None:
    for streams, batch, rows in itertools.product((1, 3), (1, 32), (1, 4)):
        aim = Aim(rows=rows, devices=2)
        load = aim.filling(Config(streams, batch, "any"))
        assert load.concurrency * rows >= min(6 * streams * batch, 4096)
    assert Aim(most_rows=100).filling(Config(4, 64, "any")) == Closed(100)
