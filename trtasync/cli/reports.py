"""Reports as tables."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from trtasync.cli.tables import add_row, new_table, show_facts, show_table
from trtasync.inspection import HeaderReport, OnnxReport, PlanReport, TensorReport
from trtasync.system.sizes import written_size

OPERATORS_SHOWN = 8

ALONE = "requests run alone"


def show_onnx(console: Console, report: OnnxReport, layers: bool) -> None:
    """Print what an ONNX model contains; `layers` lists every operator."""
    shown = len(report.operators) if layers else OPERATORS_SHOWN
    operators = [f"{name} x {count}" for name, count in list(report.operators.items())[:shown]]
    if len(report.operators) > shown:
        operators.append(f"{len(report.operators) - shown} more (--layers)")
    facts = [
        ("file", f"{report.file}, {written_size(report.bytes)}"),
        *(("external", f"{n}, {written_size(size)}") for n, size in report.external.items()),
        ("producer", report.producer or "not named"),
        ("ONNX", f"IR {report.ir_version}, {_versions(report)}"),
        ("weights", written_size(report.weight_bytes)),
        ("nodes", f"{report.nodes}: {', '.join(operators)}"),
        ("batching", _onnx_batching(report)),
        ("profile", report.profile or report.profile_problem or "none needed: all is fixed"),
    ]
    show_facts(console, facts)
    _tensors(console, report.inputs, report.outputs)


def _versions(report: OnnxReport) -> str:
    return ", ".join(f"{domain} {version}" for domain, version in report.opsets.items())


def _onnx_batching(report: OnnxReport) -> str:
    unproved = [f"'{name}': {why}" for name, why in report.proofs.items() if why]
    if unproved:
        tested = "requests share batches if a test at opening finds no fault (`trtasync check`)"
        return f"{tested if report.batched else ALONE}; not proved: {', '.join(unproved)}"
    words = _batching(report.batched)
    if report.batched and report.fixed_batch is not None:
        words += f", always {report.fixed_batch} rows (the batch axis is fixed)"
    return f"{words}: proved by the graph" if report.proofs else words


def _batching(batched: bool) -> str:
    return "requests share batches" if batched else ALONE


def show_plan(console: Console, report: PlanReport, layers: bool) -> None:
    """Print what a plan contains; `layers` lists its layers."""
    planned = report.planned
    facts = [
        ("file", f"{report.file}, {written_size(report.bytes)}"),
        ("network", report.network or "not named"),
        ("read by", f"{report.flavour} {report.tensorrt} on {report.gpu}"),
        ("layers", f"{report.layer_count}, {report.verbosity}"),
        ("aux streams", str(report.aux_streams)),
        ("refittable", "yes" if report.refittable else "no"),
        ("streamable", written_size(report.streamable_bytes)),
        ("batching", _batching(report.batched)),
        (
            "planned",
            f"{planned.streams} streams x batches of {', '.join(map(str, planned.batch_sizes))}: "
            f"{planned.contexts} contexts, {written_size(planned.device_bytes)} on the GPU beside "
            f"the weights, {written_size(planned.pinned_bytes)} pinned",
        ),
    ]
    show_facts(console, facts)
    _tensors(console, report.inputs, report.outputs)
    _profiles(console, report)
    if layers:
        _layers(console, report.layers)


def show_header(console: Console, report: HeaderReport) -> None:
    """Print what a plan's header says."""
    facts = [
        ("file", f"{report.file}, {written_size(report.bytes)}"),
        ("built by", f"{report.title} {report.tensorrt or 'of an unknown version'}"),
        ("whole", _WHOLE[report.whole]),
        ("not read", report.unread),
    ]
    show_facts(console, facts)


_WHOLE = {
    True: "as many bytes as its header says; what they are was not looked at",
    False: "no: more bytes than its header says",
    None: "not looked at: only TensorRT can, on a GPU",
}
"""What is known of a plan's end."""


def _tensors(
    console: Console, inputs: Sequence[TensorReport], outputs: Sequence[TensorReport]
) -> None:
    table = new_table(console, "", "name", "dtype", "shape", "rows", figures=False)
    for role, tensors in (("input", inputs), ("output", outputs)):
        for tensor in tensors:
            axes = ", ".join("?" if dim is None else str(dim) for dim in tensor.shape)
            place = " (values in host memory)" if tensor.host else ""
            rows = "-" if tensor.batch_axis is None else f"axis {tensor.batch_axis}"
            add_row(table, role, tensor.name, tensor.dtype, f"[{axes}]{place}", rows)
    show_table(console, table)


def _profiles(console: Console, report: PlanReport) -> None:
    columns = "profile", "input", "min / opt / max", "memory of a context"
    table = new_table(console, *columns, figures=False)
    for index, profile in enumerate(report.profiles):
        size = written_size(report.context_bytes[index])
        for line, (name, shapes) in enumerate(profile.items()):
            first = line == 0
            add_row(
                table,
                str(index) if first else "",
                name,
                shapes.replace("/", " / "),
                size if first else "",
            )
    show_table(console, table)


def _layers(console: Console, layers: Sequence[Any]) -> None:
    if not layers:
        console.print("The plan tells nothing of its layers; build it with detailed verbosity.")
        return
    table = new_table(console, "layer", "type", "outputs", figures=False)
    for layer in layers:
        add_row(table, *_layer(layer))
    show_table(console, table)


def _layer(layer: Any) -> tuple[str, str, str]:
    if not isinstance(layer, dict):
        return str(layer), "", ""
    outputs = [
        f"{each.get('Name', '')} {each.get('Dimensions', '')}"
        for each in layer.get("Outputs", ())
        if isinstance(each, dict)
    ]
    return str(layer.get("Name", "")), str(layer.get("LayerType", "")), ", ".join(outputs)
