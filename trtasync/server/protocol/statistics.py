"""An engine's counts in Triton's form."""

from typing import TypedDict

from trtasync.core.metrics import Statistics, TimeSummary


class Duration(TypedDict):
    """How often something was done, and how long that took in all, in nanoseconds."""

    count: int
    ns: int


class BatchStatistics(TypedDict):
    """How many batches of a size there were."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(TypedDict):
    """The counts of a model's engine, in Triton's form. `inference_stats` has success, fail, queue,
    compute_input, compute_infer, compute_output, cache_hit and cache_miss."""

    name: str
    version: str
    inference_count: int
    execution_count: int
    inference_stats: dict[str, Duration]
    batch_stats: list[BatchStatistics]


class AllStatistics(TypedDict):
    """The statistics of every version that was asked for."""

    model_stats: list[ModelStatistics]


def model_statistics(name: str, version: str, counted: Statistics) -> ModelStatistics:
    """One entry of GET v2/models/stats.

    Triton counts times per request: each is charged its whole batch. Here times of batches are
    measured, so a request is charged the mean. `batch_stats` tells how many batches of each size
    there were; their times, which are not measured by size, are 0.

    Args:
        name: of the model.
        version: of the model.
        counted: the counts of its engine.
    """
    answered = counted.answered
    unanswered = counted.failed + counted.cancelled + counted.rejected + counted.displaced
    return {
        "name": name,
        "version": version,
        "inference_count": counted.rows,
        "execution_count": counted.batches,
        "inference_stats": {
            "success": _charged(answered, counted.latency),
            "fail": _duration(unanswered),
            "queue": _charged(answered, counted.queue),
            "compute_input": _charged(answered, counted.copy_in),
            "compute_infer": _charged(answered, counted.compute),
            "compute_output": _charged(answered, counted.copy_out),
            "cache_hit": _duration(0),
            "cache_miss": _duration(0),
        },
        "batch_stats": [
            {
                "batch_size": size,
                "compute_input": _duration(times),
                "compute_infer": _duration(times),
                "compute_output": _duration(times),
            }
            for size, times in counted.batch_sizes.items()
        ],
    }


def _charged(requests: int, times: TimeSummary) -> Duration:
    return _duration(requests, requests * times.mean if times.count else 0.0)


def _duration(count: int, seconds: float = 0.0) -> Duration:
    return {"count": count, "ns": round(seconds * 1e9)}
