"""Networks: inputs, layers, outputs; what is refused when they are made, and what by the build."""

import numpy as np

from tests.genuine.trial import F32, Trial


def identity(t: Trial) -> None:
    t.mark(t.network.add_identity(t.input(shape=(2, 4))).get_output(0))
    t.build()


def sum_with_a_constant(t: Trial) -> None:
    t.define()
    t.profile()
    t.build()


def no_output(t: Trial) -> None:
    t.input(shape=(2, 4))
    t.build()


def nothing_at_all(t: Trial) -> None:
    t.build()


def dynamic_without_a_profile(t: Trial) -> None:
    t.define()
    t.build()


def two_inputs_of_one_name(t: Trial) -> None:
    t.input(shape=(2, 4))
    t.input(shape=(2, 4))
    t.show()


def an_input_renamed_to_another(t: Trial) -> None:
    x, z = t.input(shape=(1, 4)), t.input("z", (1, 4))
    z.name = "x"
    t.mark(t.sum(x, z))
    t.build()


def an_input_without_a_name(t: Trial) -> None:
    x = t.input("", (1, 4))
    t.mark(t.network.add_identity(x).get_output(0))
    t.build()


def an_input_of_rank_nine(t: Trial) -> None:
    t.input(shape=(1,) * 9)
    t.show()


def an_input_of_rank_zero(t: Trial) -> None:
    t.mark(t.network.add_identity(t.input(shape=())).get_output(0))
    t.build()


def an_input_of_size_minus_two(t: Trial) -> None:
    t.input(shape=(-2, 4))
    t.show()


def an_input_of_size_zero(t: Trial) -> None:
    t.mark(t.network.add_identity(t.input(shape=(0, 4))).get_output(0))
    t.build()


def an_input_with_a_wrong_dtype(t: Trial) -> None:
    t.network.add_input("x", np.float32, (1, 4))


def half_precision(t: Trial) -> None:
    t.mark(t.sum(t.input(shape=(2, 4), dtype="HALF"), t.ones(dtype=np.float16)))
    t.build()


def whole_numbers(t: Trial) -> None:
    t.mark(t.sum(t.input(shape=(2, 4), dtype="INT64"), t.ones(dtype=np.int64)))
    t.build()


def truth_values(t: Trial) -> None:
    t.mark(t.network.add_identity(t.input(shape=(2, 4), dtype="BOOL")).get_output(0))
    t.build()


def bytes_in_and_out(t: Trial) -> None:
    t.mark(t.network.add_identity(t.input(shape=(2, 4), dtype="UINT8")).get_output(0))
    t.build()


def an_output_marked_twice(t: Trial) -> None:
    y = t.network.add_identity(t.input(shape=(1, 4))).get_output(0)
    t.mark(y)
    t.mark(y)
    t.build()


def two_outputs_of_one_name(t: Trial) -> None:
    x = t.input(shape=(1, 4))
    for _ in range(2):
        t.mark(t.network.add_identity(x).get_output(0))
    t.build()


def an_input_marked_as_output(t: Trial) -> None:
    t.mark(t.input(shape=(1, 4)), "")
    t.build()


def an_output_named_as_the_input(t: Trial) -> None:
    t.mark(t.network.add_identity(t.input(shape=(1, 4))).get_output(0), "x")
    t.build()


def an_output_unmarked(t: Trial) -> None:
    y = t.network.add_identity(t.input(shape=(1, 4))).get_output(0)
    t.mark(y)
    t.network.unmark_output(y)
    t.build()


def a_name_that_a_layers_output_has(t: Trial) -> None:
    x = t.input(shape=(1, 4))
    first, second = (t.network.add_identity(x).get_output(0) for _ in range(2))
    first.name = "z"
    second.name = "z"
    t.look(second, "name")
    t.input("z", (1, 4))
    t.show()


def an_output_without_a_name(t: Trial) -> None:
    y = t.network.add_identity(t.input(shape=(1, 4))).get_output(0)
    y.name = ""
    t.mark(y, "")
    t.build()


def an_output_of_nothing(t: Trial) -> None:
    t.network.mark_output(None)


def different_ranks(t: Trial) -> None:
    y = t.sum(t.input(shape=(2, 4)), t.ones((4,)))
    t.mark(y)
    t.build()


def different_types(t: Trial) -> None:
    t.mark(t.sum(t.input(shape=(2, 4)), t.ones(dtype=np.float16)))
    t.build()


def different_sizes(t: Trial) -> None:
    t.mark(t.sum(t.input(shape=(2, 4)), t.ones((1, 3))))
    t.build()


def the_shape_of_what_does_not_fit(t: Trial) -> None:
    t.look(t.sum(t.input(shape=(2, 4)), t.ones((1, 3))), "shape")


def a_tensor_of_another_network(t: Trial) -> None:
    x = t.input(shape=(1, 4))
    other = t.builder.create_network(0)
    other.add_identity(x)


def a_layer_of_nothing(t: Trial) -> None:
    t.network.add_identity(None)


def an_unused_input(t: Trial) -> None:
    t.input("unused", (1, 4))
    t.mark(t.network.add_identity(t.input(shape=(1, 4))).get_output(0))
    t.build()


def beyond_the_last_input(t: Trial) -> None:
    t.input()
    t.network.get_input(9)


def beyond_the_last_output(t: Trial) -> None:
    t.define()
    t.network.get_output(9)


def beyond_the_last_layer(t: Trial) -> None:
    t.define()
    t.network.get_layer(9)


def before_the_first_input(t: Trial) -> None:
    t.input()
    t.network.get_input(-1)


def beyond_a_layers_outputs(t: Trial) -> None:
    t.network.add_identity(t.input()).get_output(1)


def names_of_axes(t: Trial) -> None:
    x = t.input()
    x.set_dimension_name(0, "N")
    x.get_dimension_name(0)
    x.get_dimension_name(1)


def a_name_beyond_the_axes(t: Trial) -> None:
    x = t.input()
    x.set_dimension_name(5, "N")
    x.get_dimension_name(5)


def names_by_default(t: Trial) -> None:
    t.look(t.network, "name")
    layer = t.network.add_identity(t.input(shape=(1, 4)))
    t.look(layer, "name")
    t.look(layer.get_output(0), "name")


def a_networks_name(t: Trial) -> None:
    t.network.name = "mine"
    t.look(t.network, "name")


def what_a_tensor_is(t: Trial) -> None:
    x = t.input(shape=(1, 4))
    y = t.network.add_identity(x).get_output(0)
    t.mark(y)
    for tensor in (x, y):
        t.look(tensor, "is_network_input", "is_network_output", "is_shape_tensor")


def unknown_creation_flag(t: Trial) -> None:
    t.builder.create_network(1 << 17)


# -- weights ---------------------------------------------------------------------------------------


def too_few_weights(t: Trial) -> None:
    constant = t.network.add_constant((1, 8), t.keep(np.ones((1, 4), F32)))
    t.mark(constant.get_output(0))
    t.build()


def too_many_weights(t: Trial) -> None:
    constant = t.network.add_constant((1, 4), t.keep(np.ones((1, 8), F32)))
    t.mark(constant.get_output(0))
    t.build()


def weights_of_float64(t: Trial) -> None:
    t.network.add_constant((1, 4), t.keep(np.ones((1, 4), np.float64)))


def weights_of_int16(t: Trial) -> None:
    t.network.add_constant((1, 4), t.keep(np.ones((1, 4), np.int16)))


def weights_of_bfloat16(t: Trial) -> None:
    import ml_dtypes

    t.network.add_constant((1, 4), t.keep(np.ones((1, 4), ml_dtypes.bfloat16)))


def strided_weights(t: Trial) -> None:
    t.network.add_constant((1, 4), t.keep(np.ones((1, 8), F32))[:, ::2])


def fortran_weights(t: Trial) -> None:
    t.network.add_constant((4, 4), t.keep(np.asfortranarray(np.ones((4, 4), F32))))


def weights_as_a_list(t: Trial) -> None:
    t.network.add_constant((1, 4), [1.0, 2.0, 3.0, 4.0])


def no_weights(t: Trial) -> None:
    t.network.add_constant((0,), t.keep(np.ones((0,), F32)))


def weights_in_another_shape(t: Trial) -> None:
    constant = t.network.add_constant((1, 4), t.keep(np.ones((2, 2), F32)))
    t.mark(constant.get_output(0))
    t.build()


def weights_wrapped(t: Trial) -> None:
    array = t.keep(np.ones((1, 4), F32))
    weights = t.attempt("Weights()", lambda: t.trt.Weights(array))
    t.attempt("len()", lambda: len(weights))
    t.attempt("nbytes", lambda: weights.nbytes)
    t.network.add_constant((1, 4), weights)


def strided_weights_wrapped(t: Trial) -> None:
    t.attempt("Weights()", lambda: t.trt.Weights(t.keep(np.ones((1, 8), F32))[:, ::2]))


# -- layers ----------------------------------------------------------------------------------------


def a_product(t: Trial) -> None:
    none = t.trt.MatrixOperation.NONE
    layer = t.network.add_matrix_multiply(t.input(), none, t.ones((4, 3)), none)
    t.mark(layer.get_output(0))
    t.profile()
    t.build()


def a_product_that_does_not_fit(t: Trial) -> None:
    none = t.trt.MatrixOperation.NONE
    layer = t.network.add_matrix_multiply(t.input(shape=(2, 4)), none, t.ones((3, 3)), none)
    t.mark(layer.get_output(0))
    t.build()


def a_transposed_product(t: Trial) -> None:
    operations = t.trt.MatrixOperation
    layer = t.network.add_matrix_multiply(
        t.input(shape=(2, 4)), operations.NONE, t.ones((3, 4)), operations.TRANSPOSE
    )
    t.mark(layer.get_output(0))
    t.build()


def an_activation(t: Trial) -> None:
    layer = t.network.add_activation(t.input(shape=(2, 4)), t.trt.ActivationType.RELU)
    t.mark(layer.get_output(0))
    t.build()


def a_cast(t: Trial) -> None:
    layer = t.network.add_cast(t.input(shape=(2, 4)), t.trt.DataType.HALF)
    t.mark(layer.get_output(0))
    t.build()


def a_shape_as_output(t: Trial) -> None:
    t.mark(t.network.add_shape(t.input()).get_output(0))
    t.profile()
    t.build()


def a_shuffle(t: Trial) -> None:
    layer = t.network.add_shuffle(t.input(shape=(2, 4)))
    layer.first_transpose = (1, 0)
    layer.reshape_dims = (8,)
    t.mark(layer.get_output(0))
    t.build()


def a_shuffle_to_another_size(t: Trial) -> None:
    layer = t.network.add_shuffle(t.input(shape=(2, 4)))
    layer.reshape_dims = (9,)
    t.mark(layer.get_output(0))
    t.build()


def a_wrong_enum(t: Trial) -> None:
    t.network.add_activation(t.input(shape=(2, 4)), t.trt.ElementWiseOperation.SUM)


def a_number_for_an_enum(t: Trial) -> None:
    t.network.add_activation(t.input(shape=(2, 4)), 0)


def division(t: Trial) -> None:
    t.mark(t.sum(t.input(shape=(2, 4)), t.ones(), "DIV"))
    t.build()


def broadcasting(t: Trial) -> None:
    t.mark(t.sum(t.input(shape=(2, 1)), t.ones((1, 4))))
    t.build()
