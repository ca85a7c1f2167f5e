"""Optimization profiles."""

from tests.genuine.trial import RANGE, Trial


def bare(t: Trial, *range_: tuple[int, ...], name: str = "x") -> None:
    profile = t.builder.create_optimization_profile()
    profile.set_shape(name, *range_)
    t.attempt("bool(profile)", lambda: bool(vars(profile)["_it"]))
    t.config.add_optimization_profile(profile)


def an_ordinary_profile(t: Trial) -> None:
    bare(t, *RANGE)


def min_above_max(t: Trial) -> None:
    bare(t, (8, 4), (2, 4), (1, 4))


def opt_outside(t: Trial) -> None:
    bare(t, (1, 4), (9, 4), (8, 4))


def different_ranks(t: Trial) -> None:
    bare(t, (1, 4), (2, 4), (8, 4, 1))


def negative_numbers(t: Trial) -> None:
    bare(t, (-1, 4), (2, 4), (8, 4))


def all_negative(t: Trial) -> None:
    bare(t, (-3, 4), (-2, 4), (-1, 4))


def zero_rows(t: Trial) -> None:
    bare(t, (0, 4), (2, 4), (8, 4))


def a_text_for_a_shape(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", "1x4", (2, 4), (8, 4))


def an_empty_profile(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    t.attempt("bool(profile)", lambda: bool(vars(profile)["_it"]))
    t.config.add_optimization_profile(profile)


def an_unknown_input(t: Trial) -> None:
    t.define()
    t.profile(name="z")
    t.build()


def an_unknown_input_beside(t: Trial) -> None:
    t.define()
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", *RANGE)
    profile.set_shape("z", *RANGE)
    t.config.add_optimization_profile(profile)
    t.build()


def a_rank_unlike_the_inputs(t: Trial) -> None:
    t.define()
    t.profile((1, 4, 1), (2, 4, 1), (8, 4, 1))
    t.build()


def another_fixed_size(t: Trial) -> None:
    t.define()
    t.profile((1, 5), (2, 5), (8, 5))
    t.build()


def a_profile_for_fixed_shapes(t: Trial) -> None:
    t.define((2, 4))
    t.profile((2, 4), (2, 4), (2, 4))
    t.build()


def two_profiles(t: Trial) -> None:
    t.define()
    t.profile()
    t.profile((1, 4), (16, 4), (16, 4))
    t.look(t.config, "num_optimization_profiles")
    t.build()


def one_profile_added_twice(t: Trial) -> None:
    t.define()
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", *RANGE)
    t.config.add_optimization_profile(profile)
    t.config.add_optimization_profile(profile)
    t.build()


def ranges_read_again(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", *RANGE)
    profile.get_shape("x")


def a_range_that_was_never_set(t: Trial) -> None:
    t.builder.create_optimization_profile().get_shape("x")


def set_twice(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", *RANGE)
    profile.set_shape("x", (1, 4), (4, 4), (4, 4))
    profile.get_shape("x")


def values_of_a_shape_tensor(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.set_shape_input("s", (1, 4), (2, 4), (8, 4))
    profile.get_shape_input("s")


def values_in_disorder(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.set_shape_input("s", (8, 4), (2, 4), (1, 4))
    t.config.add_optimization_profile(profile)


def extra_memory(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.extra_memory_target = 0.5
    t.look(profile, "extra_memory_target")


def too_much_extra_memory(t: Trial) -> None:
    profile = t.builder.create_optimization_profile()
    profile.extra_memory_target = 2.0
    t.look(profile, "extra_memory_target")


def reshaped_by_an_input(t: Trial) -> None:
    x, shape = t.input(), t.input("shape", (1,), "INT64")
    layer = t.network.add_shuffle(x)
    layer.set_input(1, shape)
    t.mark(layer.get_output(0))
    t.look(shape, "is_shape_tensor")
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", *RANGE)
    profile.set_shape_input("shape", (4,), (8,), (32,))
    t.config.add_optimization_profile(profile)
    t.build()


def reshaped_without_values(t: Trial) -> None:
    x, shape = t.input(shape=(2, 4)), t.input("shape", (1,), "INT64")
    layer = t.network.add_shuffle(x)
    layer.set_input(1, shape)
    t.mark(layer.get_output(0))
    t.build()
