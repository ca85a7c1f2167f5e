"""The same metrics under Triton's names, for dashboards and tools that were made for these.

They have no type: Prometheus wants counters to end in `_total`, and Triton's do not.
"""

import re
from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from trtasync.core.metrics import Statistics
from trtasync.server.prometheus.families import Counted
from trtasync.server.protocol.statistics import model_statistics

_SIMPLE = {
    "nv_inference_count": ("Rows computed.", "rows"),
    "nv_inference_exec_count": ("Batches computed.", "batches"),
    "nv_inference_pending_request_count": ("Rows that wait.", "queued"),
}
_DURATIONS = {
    "request": "success",
    "queue": "queue",
    "compute_input": "compute_input",
    "compute_infer": "compute_infer",
    "compute_output": "compute_output",
}
"""Part of a metric's name -> part of what `model_statistics` tells."""

_LARGE = re.compile(rb"^(nv_[^\n]*) ([0-9.]+e\+[0-9]+)$", re.MULTILINE)


def triton_families(all_counted: Iterable[Counted]) -> Iterator[Metric]:
    """Triton's metrics of all engines together; times are charged as in GET v2/models/stats."""
    counted = list(all_counted)
    success = _untyped("nv_inference_request_success", "Requests answered.")
    failure = _untyped("nv_inference_request_failure", "Requests not answered.")
    for each in counted:
        labels = _labels(each)
        success.add_sample(success.name, labels, each.statistics.answered)
        for reason, number in _failures(each.statistics).items():
            failure.add_sample(failure.name, {**labels, "reason": reason}, number)
    yield success
    yield failure
    for name, (text, field) in _SIMPLE.items():
        family = _untyped(name, text)
        for each in counted:
            family.add_sample(name, _labels(each), getattr(each.statistics, field))
        yield family
    told = [model_statistics(*each)["inference_stats"] for each in counted]
    for part, field in _DURATIONS.items():
        family = _untyped(f"nv_inference_{part}_duration_us", "All requests together.")
        for each, times in zip(counted, told, strict=True):
            family.add_sample(family.name, _labels(each), times[field]["ns"] // 1000)
        yield family


def without_exponents(text: bytes) -> bytes:
    """The text format with large numbers of these metrics written out, as Triton does:
    perf_analyzer reads 1.5e+09 as 1."""
    return _LARGE.sub(lambda found: b"%s %.6f" % (found[1], float(found[2])), text)


def _failures(counted: Statistics) -> dict[str, int]:
    return {
        "REJECTED": counted.rejected + counted.displaced,
        "CANCELED": counted.cancelled,
        "BACKEND": counted.failed,
        "OTHER": 0,
    }


def _untyped(name: str, text: str) -> Metric:
    return Metric(name, text, "unknown")


def _labels(counted: Counted) -> dict[str, str]:
    return {"model": counted.model, "version": counted.version}
