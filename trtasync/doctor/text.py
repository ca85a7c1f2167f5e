"""A report as people read it: plain text of any width, as the packages that draw may be missing."""

import textwrap
from collections.abc import Iterator, Sequence

from trtasync.doctor.backends import BackendState
from trtasync.doctor.gpus import Gpus
from trtasync.doctor.limits import Limits
from trtasync.doctor.packages import Extra
from trtasync.doctor.report import Report
from trtasync.system.sizes import written_size
from trtasync.words import shown

NARROWEST = 24
"""Characters that a fact gets beside its name, or below it."""

MEMLOCK = (
    "a shared engine on a GPU locks the memory that it shares, so let this be unlimited there "
    "(ulimit -l; LimitMEMLOCK= of a unit)"
)
Facts = Sequence[tuple[str, str]]


def text(report: Report, width: int) -> str:
    """All of it, in lines of at most `width` characters where that can be."""
    head = f"trtasync {report.trtasync}, Python {report.python}, {report.system}"
    parts = {
        "Backends": [(each.name, _backend(each)) for each in report.backends],
        "GPUs": list(_gpus(report.gpus)),
        "Limits": list(_limits(report.limits, has_gpu=bool(report.gpus.models))),
        "Extras": [(each.name, _extra(each)) for each in report.extras],
    }
    told = [f"{title}\n{_facts(facts, width)}" for title, facts in parts.items() if facts]
    return "\n\n".join(["\n".join(textwrap.wrap(head, width)), *told])


def _facts(facts: Facts, width: int) -> str:
    """Names in a column and what is said of them beside it; below them where there is no room."""
    column = max(len(name) for name, _ in facts) + 4
    is_beside = width - column >= NARROWEST
    indent = " " * (column if is_beside else 4)
    lines = []
    for name, said in facts:
        wrapped = textwrap.wrap(
            shown(said),
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
        )
        lines += (
            [f"  {name}".ljust(column) + wrapped.pop(0)[column:]] if is_beside else [f"  {name}"]
        )
        lines += wrapped
    return "\n".join(lines)


def _backend(state: BackendState) -> str:
    if state.missing:
        return f"cannot be used: {' Besides: '.join(state.missing)}"
    return f"ready, {state.version}"


def _gpus(found: Gpus) -> Iterator[tuple[str, str]]:
    yield "driver", found.driver or "none is loaded, or this system does not tell"
    for index, model in enumerate(found.models):
        yield f"GPU {index}", model
    if found.visible is not None:
        yield "visible", f"CUDA_VISIBLE_DEVICES={found.visible}"


def _limits(found: Limits, *, has_gpu: bool) -> Iterator[tuple[str, str]]:
    quota = "" if found.quota is None else f", by a quota of {found.quota:g}"
    yield "cores", f"{found.cores} of {found.machine_cores}{quota}"
    yield "memory", "unknown" if found.free_memory is None else f"{_size(found.free_memory)} free"
    why = f": {MEMLOCK}" if has_gpu and found.locked_memory is not None else ""
    yield "memlock", f"{_size(found.locked_memory)}{why}"
    yield "open files", f"{_count(found.open_files)}, at most {_count(found.most_open_files)}"
    reserved = f"{_size(found.huge_pages)} reserved" if found.huge_pages else "none reserved"
    by_itself = found.transparent_huge_pages
    yield "huge pages", f"{reserved}; transparent: {by_itself}" if by_itself else reserved


def _extra(extra: Extra) -> str:
    if not extra.missing:
        versions = ", ".join(f"{name} {version}" for name, version in extra.installed.items())
        return f"{extra.good_for}: {versions}"
    return (
        f"{extra.good_for}: {', '.join(extra.missing)} missing; "
        f"pip install 'trtasync[{extra.name}]'"
    )


def _size(size: int | None) -> str:
    return "unlimited" if size is None else written_size(size)


def _count(count: int | None) -> str:
    return "unlimited" if count is None else str(count)
