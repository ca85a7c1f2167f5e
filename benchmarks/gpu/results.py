"""Samples in rounds, ratios within a round, and the file they end in."""

import argparse
import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.gpu.clients import Sample
from benchmarks.report import Spread, spread, write
from support.gpu.hardware import describe, free_bytes

PACKAGES = ("torch", "torchvision", "cuda-bindings", "nvidia-cudnn-cu13", "nvidia-cuda-nvrtc")
ROUNDS, SECONDS = 3, 2.0


def parse(name: str, about: str | None, arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line that all parts have in common."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.gpu.{name}", description=about)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per sample")
    parser.add_argument("--out", type=Path, default=None, help="a folder for copies of the results")
    return parser.parse_args(arguments)


@dataclass
class Table:
    """All samples of a part, by cell and round.

    Attributes:
        cells: name -> its sample of each round.
    """

    cells: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, cell: str, sample: Sample) -> None:
        """Keep a sample and show it at once: a run that is cut short has still told something."""
        self.cells.setdefault(cell, []).append(sample)
        print(f"  {cell:44} {_line(sample)}", flush=True)

    def summary(self) -> dict[str, dict[str, Spread]]:
        """Cell -> figure -> median, min and max over the rounds."""
        return {
            cell: {figure: spread(each[figure] for each in samples) for figure in samples[0]}
            for cell, samples in self.cells.items()
        }

    def ratios(self, wanted: Sequence[tuple[str, str, str]]) -> dict[str, Spread]:
        """(cell, over, figure): formed within every round."""
        return {
            f"{cell} : {over}, {figure}": spread(
                one[figure] / other[figure]
                for one, other in zip(self.cells[cell], self.cells[over], strict=True)
            )
            for cell, over, figure in wanted
            if cell in self.cells and over in self.cells
        }

    def samples(self) -> list[Sample]:
        """Every one, flat, rounded to what means something."""
        return [
            {"cell": cell, "round": number, **{k: _short(v) for k, v in sample.items()}}
            for cell, samples in self.cells.items()
            for number, sample in enumerate(samples, 1)
        ]

    def show(self) -> None:
        """Print the medians."""
        print(
            f"\n{'cell':46}{'per second':>12}{'CPU us':>9}{'p50 us':>10}{'p99 us':>10}{'beat':>14}"
        )
        for cell, figures in self.summary().items():
            row = [
                _cell(figures.get(name))
                for name in ("requests_per_second", "cpu_us", "p50_us", "p99_us")
            ]
            beats = "/".join(
                _cell(figures.get(f"heartbeat_{name}")) for name in ("p50_us", "p99_us")
            )
            print(f"{cell:46}{row[0]:>12}{row[1]:>9}{row[2]:>10}{row[3]:>10}{beats:>14}")


def show_ratios(found: Mapping[str, Spread]) -> None:
    """Print them."""
    for key, value in found.items():
        print(f"{key:90} {value['median']:7.3f} ({value['min']:.3f} .. {value['max']:.3f})")


def _line(sample: Sample) -> str:
    return "  ".join(
        f"{name}={_number(sample[name])}"
        for name in ("requests_per_second", "cpu_us", "p50_us", "heartbeat_p99_us")
        if name in sample
    )


def _cell(figure: Spread | None) -> str:
    return "-" if figure is None else _number(figure["median"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def save(
    name: str,
    parameters: Mapping[str, Any],
    samples: Sequence[Sample],
    summary: Mapping[str, Any],
    out: Path | None,
) -> Path:
    """Write `results/gpu_<name>.json`, with the GPU's own particulars; a copy goes to `out`."""
    path = write(f"gpu_{name}", parameters, samples, summary)
    result = json.loads(path.read_text())
    result["hardware"] |= {**describe(), "free_gpu_gib": round(free_bytes() / 2**30, 1)}
    result["versions"] |= {package: _version(package) for package in PACKAGES}
    path.write_text(json.dumps(result, indent=1) + "\n")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / path.name)
    print(path, flush=True)
    return path


def _version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None
