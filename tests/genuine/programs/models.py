"""ONNX models, through the parser and the build.

Not among them: a second parser that parses into a network where one has parsed. It kills the
process (TensorRT for RTX 1.7).
"""

from typing import Any

import numpy as np

from tests.genuine.trial import F32, RANGE, Trial, model, node, value

FIXED = [value("x", (2, 4))]
FIXED_OUT = [value("y", (2, 4))]


def built(t: Trial, it: object, *, profile: bool = True) -> None:
    t.parse(it)
    if profile:
        t.profile(*RANGE)
    t.build()


def relu(t: Trial) -> None:
    built(t, model(node("Relu")))


def relu_of_fixed_shape(t: Trial) -> None:
    built(t, model(node("Relu"), inputs=FIXED, outputs=FIXED_OUT), profile=False)


def a_product(t: Trial) -> None:
    weights = {"w": np.ones((4, 3), F32)}
    built(t, model(node("MatMul", "x w"), outputs=[value("y", ("N", 3))], weights=weights))


def two_outputs(t: Trial) -> None:
    nodes = node("Relu"), node("Sigmoid", outputs="z")
    built(t, model(*nodes, outputs=[value("y"), value("z")]))


def two_nodes_of_one_name(t: Trial) -> None:
    nodes = node("Relu", outputs="z"), node("Sigmoid", "z")
    for each in nodes:
        each.name = "same"
    t.parse(model(*nodes))


def an_output_of_undeclared_shape(t: Trial) -> None:
    built(t, model(node("Relu"), outputs=[value("y", None)]))


def an_output_that_is_an_input(t: Trial) -> None:
    built(t, model(node("Relu", outputs="z"), outputs=[value("x")]))


def an_unused_input(t: Trial) -> None:
    inputs = [value("x", (2, 4)), value("z", (2, 4))]
    built(t, model(node("Relu"), inputs=inputs, outputs=FIXED_OUT), profile=False)


def a_missing_profile(t: Trial) -> None:
    built(t, model(node("Relu")), profile=False)


def an_empty_file(t: Trial) -> None:
    t.parse(b"")
    t.show()


def nonsense(t: Trial) -> None:
    t.parse(b"\xff\xfe\xfd\xfc")


def nonsense_that_ends_a_group(t: Trial) -> None:
    t.parse(b"this is no model at all")


def half_a_model(t: Trial) -> None:
    data = model(node("Relu")).SerializeToString()
    t.parse(data[: len(data) // 2])


def no_nodes(t: Trial) -> None:
    t.parse(model(outputs=[]))
    t.build()


def an_unknown_operator(t: Trial) -> None:
    t.parse(model(node("Nonsense")))
    t.show()


def two_unknown_operators(t: Trial) -> None:
    nodes = node("Nonsense", outputs="z"), node("Folly", "z")
    t.parse(model(*nodes))


def an_operator_of_another_domain(t: Trial) -> None:
    it = model(node("Relu", domain="com.example"))
    opset = it.opset_import.add()
    opset.domain, opset.version = "com.example", 1
    t.parse(it)


def an_operator_it_has_not(t: Trial) -> None:
    it = model(node("Det"), inputs=[value("x", (2, 4, 4))], outputs=[value("y", (2,))])
    t.parse(it)


def a_node_with_a_wrong_input(t: Trial) -> None:
    t.parse(model(node("Relu", "nobody")))


def an_output_nobody_makes(t: Trial) -> None:
    t.parse(model(node("Relu", outputs="z")))


def shapes_that_do_not_fit(t: Trial) -> None:
    weights = {"w": np.ones((3, 3), F32)}
    t.parse(model(node("MatMul", "x w"), outputs=[value("y", ("N", 3))], weights=weights))
    t.show()


def missing_attributes(t: Trial) -> None:
    t.parse(model(node("Concat", "x x")))


def too_new_an_opset(t: Trial) -> None:
    t.parse(model(node("Relu"), opset=99))


def no_opset(t: Trial) -> None:
    it = model(node("Relu"))
    del it.opset_import[:]
    t.parse(it)


def parsed_twice(t: Trial) -> None:
    it = model(node("Relu")).SerializeToString()
    parser = t.parser()
    parser.parse(it)
    parser.parse(it)
    t.look(parser, "num_errors")


def an_error_beyond_the_last(t: Trial) -> None:
    t.parse(model(node("Relu"))).get_error(9)


def errors_cleared(t: Trial) -> None:
    parser = t.parse(model(node("Nonsense")))
    parser.clear_errors()
    t.look(parser, "num_errors")


def a_text_for_a_model(t: Trial) -> None:
    t.parser().parse("model.onnx")


def weights_that_lie_nowhere(t: Trial) -> None:
    it = model(node("MatMul", "x w"), weights={"w": np.ones((4, 4), F32)})
    weight = it.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = 1
    place = weight.external_data.add()
    place.key, place.value = "location", "nowhere.bin"
    t.parse(it)


def names_of_axes(t: Trial) -> None:
    t.parse(model(node("Relu")))
    for tensor in (t.network.get_input(0), t.network.get_output(0)):
        tensor.get_dimension_name(0)
        tensor.get_dimension_name(1)


def the_networks_name(t: Trial) -> None:
    t.parse(model(node("Relu"), name="mine"))
    t.look(t.network, "name")


def layers_are_named_as_nodes(t: Trial) -> None:
    t.parse(model(node("Relu")))
    t.look(t.network, "num_layers")
    t.look(t.network.get_layer(0), "name")


def a_model_after_layers(t: Trial) -> None:
    t.input("z", (1, 4))
    t.parse(model(node("Relu")))
    t.show()


# -- types -----------------------------------------------------------------------------------------


def of_type(t: Trial, dtype: str, operator: str = "Identity") -> None:
    shapes = [value("x", (2, 4), dtype)], [value("y", (2, 4), dtype)]
    built(t, model(node(operator), inputs=shapes[0], outputs=shapes[1]), profile=False)


def float16(t: Trial) -> None:
    of_type(t, "FLOAT16", "Relu")


def bfloat16(t: Trial) -> None:
    of_type(t, "BFLOAT16", "Relu")


def float64(t: Trial) -> None:
    of_type(t, "DOUBLE", "Relu")


def int64(t: Trial) -> None:
    of_type(t, "INT64")


def int32(t: Trial) -> None:
    of_type(t, "INT32")


def int16(t: Trial) -> None:
    of_type(t, "INT16")


def int8(t: Trial) -> None:
    of_type(t, "INT8")


def uint8(t: Trial) -> None:
    of_type(t, "UINT8")


def truth_values(t: Trial) -> None:
    of_type(t, "BOOL")


def text(t: Trial) -> None:
    of_type(t, "STRING")


def complex64(t: Trial) -> None:
    of_type(t, "COMPLEX64")


def a_cast(t: Trial) -> None:
    out = [value("y", (2, 4), "FLOAT16")]
    built(t, model(node("Cast", to=10), inputs=FIXED, outputs=out), profile=False)


# -- shapes ----------------------------------------------------------------------------------------


def reshaped_by_an_input(t: Trial) -> None:
    inputs = [value("x"), value("s", (1,), "INT64")]
    t.parse(model(node("Reshape", "x s"), inputs=inputs, outputs=[value("y", (None,))]))
    t.look(t.network.get_input(1), "is_shape_tensor")
    profile = t.builder.create_optimization_profile()
    profile.set_shape("x", *RANGE)
    profile.set_shape_input("s", (4,), (8,), (32,))
    t.config.add_optimization_profile(profile)
    t.build()


def sizes_that_depend_on_data(t: Trial) -> None:
    it = model(node("NonZero"), inputs=FIXED, outputs=[value("y", (2, None), "INT64")])
    built(t, it, profile=False)


def a_scalar(t: Trial) -> None:
    built(t, model(node("Relu"), inputs=[value("x", ())], outputs=[value("y", ())]), profile=False)


def a_branch(t: Trial) -> None:
    from onnx import helper

    def branch(operator: str) -> Any:
        return helper.make_graph([node(operator, outputs="z")], operator, [], [value("z")])

    branches: dict[str, Any] = {"then_branch": branch("Relu"), "else_branch": branch("Sigmoid")}
    built(t, model(node("If", "c", **branches), weights={"c": np.array(True)}))


def weights_among_the_inputs(t: Trial) -> None:
    inputs = [value("x"), value("w", (4, 4))]
    built(t, model(node("MatMul", "x w"), inputs=inputs, weights={"w": np.ones((4, 4), F32)}))
