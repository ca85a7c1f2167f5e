"""An engine's counts in the form that Triton gives them."""

from typing import Any

from trtasync.core.metrics import Statistics, TimeSummary


def model_statistics(name: str, version: str, counted: Statistics) -> dict[str, Any]:
    """One entry of GET v2/models/stats.

    Triton counts times per request: each is charged the whole of its batch. Here times of batches
    are measured, so a request is charged the mean. `batch_stats` tells how many batches of each
    size there were; their times, which nobody took by size, are 0.

    Args:
        name: of the model.
        version: of the model.
        counted: by its engine.
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


def _charged(requests: int, times: TimeSummary) -> dict[str, int]:
    return _duration(requests, requests * times.mean if times.count else 0.0)


def _duration(count: int, seconds: float = 0.0) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * 1e9)}
