"""The metrics of engines: names, units and buckets."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from trtasync.core.metrics import BOUNDS, Statistics, TimeSummary

SECONDS: tuple[float, ...] = BOUNDS[BOUNDS.index(5e-5) : BOUNDS.index(10.0) : 3]
"""Upper edges of the buckets of times: from 50 us to 6.3 s, each twice the one before."""

ROWS: tuple[int, ...] = tuple(2**exponent for exponent in range(13))
"""Upper edges of the buckets of batch sizes."""

MODEL = ("model", "version")

STAGES = ("stage", "copy_in", "compute", "copy_out", "deliver")
"""Histograms of `Statistics` that are stages of a batch."""

OUTCOMES = ("answered", "failed", "cancelled", "rejected", "displaced")
"""Counts of `Statistics` by outcome; each request that has ended is in one of them."""


class Counted(NamedTuple):
    """The counts of a model's engine.

    Attributes:
        model: its name.
        version: its version.
        statistics: of its engine.
    """

    model: str
    version: str
    statistics: Statistics


def families(all_counted: Iterable[Counted]) -> list[Metric]:
    """The metrics of all engines together."""
    counted = list(all_counted)
    return [*_requests(counted), *_batches(counted), *_times(counted), *_streams(counted)]


def _requests(all_counted: list[Counted]) -> Iterable[Metric]:
    ends = CounterMetricFamily(
        "trtasync_requests", "Requests that have ended.", labels=(*MODEL, "outcome")
    )
    expired = CounterMetricFamily(
        "trtasync_expired_requests",
        "Requests not computed, as their caller's deadline could not be met.",
        labels=MODEL,
    )
    waiting = GaugeMetricFamily(
        "trtasync_queue_rows", "Rows that wait, or form a batch.", labels=MODEL
    )
    running = GaugeMetricFamily("trtasync_inflight_rows", "Rows that run.", labels=MODEL)
    for model, version, counted in all_counted:
        for outcome in OUTCOMES:
            ends.add_metric((model, version, outcome), getattr(counted, outcome))
        expired.add_metric((model, version), counted.expired)
        waiting.add_metric((model, version), counted.queued)
        running.add_metric((model, version), counted.in_flight)
    return ends, expired, waiting, running


def _batches(all_counted: list[Counted]) -> Iterable[Metric]:
    sizes = HistogramMetricFamily(
        "trtasync_batch_rows", "Rows of a batch, padding left out.", labels=MODEL
    )
    rows = CounterMetricFamily("trtasync_rows", "Rows computed, padding left out.", labels=MODEL)
    padded = CounterMetricFamily(
        "trtasync_padded_rows", "Rows computed to fill batches up.", labels=MODEL
    )
    retried = CounterMetricFamily(
        "trtasync_retried_batches", "Batches that failed and ran again in halves.", labels=MODEL
    )
    for model, version, counted in all_counted:
        sizes.add_metric((model, version), _by_size(counted.batch_sizes), counted.rows)
        rows.add_metric((model, version), counted.rows)
        padded.add_metric((model, version), counted.padded_rows)
        retried.add_metric((model, version), counted.retried)
    return sizes, rows, padded, retried


def _times(all_counted: list[Counted]) -> Iterable[Metric]:
    whole = HistogramMetricFamily(
        "trtasync_request_duration_seconds",
        "From asking to the end of the batch, per request and chunk of a split one.",
        labels=MODEL,
    )
    queue = HistogramMetricFamily(
        "trtasync_queue_duration_seconds", "From asking to the launch, likewise.", labels=MODEL
    )
    stages = HistogramMetricFamily(
        "trtasync_stage_duration_seconds",
        "Stages of a batch: stage (copying one row into it, sampled), copy_in, compute, copy_out, "
        "deliver.",
        labels=(*MODEL, "stage"),
    )
    for model, version, counted in all_counted:
        _add_times(whole, (model, version), counted.latency)
        _add_times(queue, (model, version), counted.queue)
        for stage in STAGES:
            _add_times(stages, (model, version, stage), getattr(counted, stage))
    return whole, queue, stages


def _streams(all_counted: list[Counted]) -> Iterable[Metric]:
    labels = (*MODEL, "device", "stream")
    alive = GaugeMetricFamily(
        "trtasync_stream_alive", "1 unless its device is lost.", labels=labels
    )
    running = GaugeMetricFamily("trtasync_inflight_batches", "Batches that run.", labels=labels)
    oldest = GaugeMetricFamily(
        "trtasync_oldest_batch_seconds",
        "Since the oldest batch that runs was launched; 0 if none runs.",
        labels=labels,
    )
    batches = CounterMetricFamily("trtasync_stream_batches", "Batches finished.", labels=labels)
    measured = CounterMetricFamily(
        "trtasync_stream_measured_batches", "Of these, batches that were timed.", labels=labels
    )
    compute = CounterMetricFamily(
        "trtasync_stream_compute_seconds", "What the timed ones computed.", labels=labels
    )
    for model, version, counted in all_counted:
        for index, stream in enumerate(counted.streams):
            values = model, version, str(stream.device), str(index)
            alive.add_metric(values, stream.alive)
            running.add_metric(values, stream.running)
            oldest.add_metric(values, stream.oldest)
            batches.add_metric(values, stream.batches)
            measured.add_metric(values, stream.measured)
            compute.add_metric(values, stream.compute)
    return alive, running, oldest, batches, measured, compute


def _add_times(family: HistogramMetricFamily, labels: tuple[str, ...], times: TimeSummary) -> None:
    below = list(accumulate(times.counts))
    known = dict(zip(times.bounds, below, strict=False))
    buckets = [(str(edge), known[edge]) for edge in SECONDS]
    family.add_metric(labels, [*buckets, ("+Inf", below[-1])], times.total)


def _by_size(sizes: Mapping[int, int]) -> list[tuple[str, float]]:
    buckets = [
        (str(float(edge)), sum(often for size, often in sizes.items() if size <= edge))
        for edge in ROWS
    ]
    return [*buckets, ("+Inf", sum(sizes.values()))]
