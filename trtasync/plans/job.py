"""One build from beginning to end, in one thread: read, look up, build, keep, copy."""

import logging
import platform
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from trtasync.errors import BackendUnavailable, BuildError
from trtasync.model.axes import AxisNames
from trtasync.plans import configuring, rtx
from trtasync.plans.api import HostMemory
from trtasync.plans.appearing import Appearing
from trtasync.plans.cache import CachedPlan, PlanCache, key_of
from trtasync.plans.files import PRIVATE, check_writable, write_atomically
from trtasync.plans.order import Built, Order
from trtasync.plans.phases import Phases, require_builder
from trtasync.plans.progress import Watch, make_monitor
from trtasync.plans.resolve import DEFAULT_MAX_BATCH_SIZE
from trtasync.plans.sources import FunctionModel, OnnxModel, read_source
from trtasync.plans.timing import TimingCacheFile, timing_file
from trtasync.runtimes.cuda import Device, find_device
from trtasync.runtimes.flavours import RTX
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt.library import is_installed
from trtasync.system.ranges import ranged
from trtasync.system.stopping import Stop, go_on
from trtasync.system.trust import Owner

log: logging.Logger = logging.getLogger("trtasync")


class Job:
    """Carries out an order."""

    def __init__(self, order: Order, stop: Stop):
        """Prepare; `run` does the work.

        Args:
            order: what to do.
            stop: set to make it end at its next step, with `Stopped`.
        """
        self._order = order
        self._stop = stop
        self._output: Path | None = None

    def run(self, useless: str = "") -> Built:
        """Do everything; blocks for as long as the build takes.

        Args:
            useless: checksum of a plan that was found earlier and could not be loaded: another one
                is built in its place, unless another process has already done that.

        Raises:
            Stopped: `stop` was set before the plan existed; nothing is left behind.
            BuildError, InvalidInput, BackendUnavailable: see `build_plan`.
        """
        with self._stop.harmless():
            return self._run(useless)

    def _run(self, useless: str) -> Built:
        order = self._order
        phases = self._phases()
        require_builder(phases.library)
        configuring.check(order.config, phases.library, phases.device is not None)
        model = read_source(order.source, order.cache_key, order.cache is not None)
        go_on(self._stop)
        if order.output is not None:
            sources = model.file.paths if isinstance(model, OnnxModel) else ()
            self._output = check_writable(order.output, sources)
        facts = self._facts(phases, model)
        # a calibrator's data cannot be part of a key, unless the user names it
        known = model.digest is not None and (
            order.config.calibrator is None or order.cache_key is not None
        )
        if order.cache is None or not known:
            return self._without_cache(phases, model, facts)
        key = key_of(facts)
        entry = order.cache.find(key)
        if entry is None or entry.checksum == useless:
            with order.cache.writing(key, self._stop):
                # another process may have built it meanwhile
                entry = order.cache.find(key, logging.DEBUG)
                if entry is None or entry.checksum == useless:
                    plan, seconds = self._build(phases, model)
                    entry = self._keep(order.cache, key, plan, facts, seconds)
                    return self._built(order.cache, entry, key, model.axes, cached=False)
        self._check_kept(entry, key, model)
        log.info("%s: plan %s... taken from the cache", model.name, key[:12])
        self._copy(order.cache, entry)
        return self._built(order.cache, entry, key, model.axes, cached=True)

    def _phases(self) -> Phases:
        """Phases with a GPU, unless the plan is for named GPUs and need not be run."""
        order = self._order
        if order.config.compute_capabilities is None:
            try:
                phases = Phases(order.device, order.flavour)
            except BackendUnavailable as error:
                missing = "" if is_installed(RTX) else f", {RTX.install}"
                raise BackendUnavailable(
                    f"{error} To build without a GPU, name the GPUs that the plan is for "
                    f"(compute_capabilities{missing})."
                ) from error
        else:
            self._demand_checkable()
            phases = Phases(None, order.flavour)
        if order.check is not None:
            rtx.demand_at_hand(order.config, phases.library, find_device(order.device))
        return phases

    def _demand_checkable(self) -> None:
        """Refuse, before building, to check a plan without a GPU to run it."""
        if self._order.check is None:
            return
        try:
            find_device(self._order.device)
        except BackendUnavailable as error:
            raise BackendUnavailable(
                f"{error} To build without a GPU, leave out check: it runs the plan."
            ) from error

    def _keep(
        self, cache: PlanCache, key: str, plan: HostMemory, facts: Mapping[str, Any], seconds: float
    ) -> CachedPlan:
        """Put a new plan in the cache and in its destination, at once."""
        with Appearing(self._stop) as files:
            entry = cache.keep(key, plan, facts, seconds, files)
            try:
                if self._output is not None:
                    files.write(self._output, plan)
            finally:  # what may have taken hours is kept, even if it cannot be copied elsewhere
                files.appear()
        return entry

    def _copy(self, cache: PlanCache, entry: CachedPlan) -> None:
        """Copy a plan from the cache to its destination."""
        if self._output is None:
            return
        with Appearing(self._stop) as files:
            try:
                with cache.owner.open(entry.path) as plan:
                    files.copy(self._output, plan)
            except OSError as error:
                raise BuildError(f"{entry.path} can no longer be read: {error}.") from error
            files.appear()

    def _built(
        self, cache: PlanCache, entry: CachedPlan, key: str, axes: AxisNames, cached: bool
    ) -> Built:
        return Built(
            path=entry.path if self._output is None else self._order.output or self._output,
            key=key,
            cached=cached,
            seconds=entry.seconds,
            checksum=entry.checksum,
            owner=cache.owner,
            mode=cache.mode,
            facts=entry.facts,
            axes=axes,
        )

    def _without_cache(
        self, phases: Phases, model: OnnxModel | FunctionModel, facts: Mapping[str, Any]
    ) -> Built:
        output = self._output
        assert output is not None  # `make_order` has checked
        plan, seconds = self._build(phases, model)
        with Appearing(self._stop) as files:
            files.write(output, plan)
            files.appear()
        return Built(
            path=self._order.output or output,
            key="",
            cached=False,
            seconds=seconds,
            checksum="",
            owner=Owner.me(),
            mode=PRIVATE,
            facts=facts,
            axes=model.axes,
        )

    def _facts(self, phases: Phases, model: OnnxModel | FunctionModel) -> dict[str, Any]:
        order = self._order
        return {
            "model": model.digest,
            "tensorrt": phases.version,
            **self._target(phases),
            "platform": f"{platform.system()} {platform.machine()}",
            "profiles": [profile.sorted_text() for profile in order.profiles],
            "max_batch_size": order.max_batch_size or DEFAULT_MAX_BATCH_SIZE,
            "config": order.config.facts(),
            # only if set, so that plans kept before this option existed are found
            **({"batch_axes": dict(order.batch_axes)} if order.batch_axes else {}),
        }

    def _target(self, phases: Phases) -> dict[str, Any]:
        """What the plan is built for, as part of the key."""
        flavour, device = phases.library.flavour, phases.device
        named = {"flavour": flavour.name} if flavour.is_rtx else {}  # as keys were before RTX
        if device is None:
            return {**named, "gpu": rtx.written(self._order.config.compute_capabilities)}
        return {
            **named,
            "gpu": device.name,
            "capability": _capability(device),
            "processors": device.processors,
            "driver": device.driver(),
        }

    @ranged("build")
    def _build(self, phases: Phases, model: OnnxModel | FunctionModel) -> tuple[HostMemory, float]:
        """Build the plan; return it and the seconds it took."""
        order = self._order
        go_on(self._stop)
        quick = phases.library.flavour.is_rtx
        log.log(
            logging.INFO if quick or order.progress else logging.WARNING,  # minutes of silence
            "%s: building a plan with %s for %s%s",
            model.name,
            phases.library.title,
            self._target(phases)["gpu"],
            "" if quick else "; this can take minutes",
        )
        began = perf_counter()
        watch = Watch(order.progress, self._stop)
        builder = phases.builder()
        target = phases.config(builder, order.config)
        network = phases.network_of(builder, model, not order.config.weak)
        phases.add_profiles(
            builder,
            network,
            target,
            order.profiles,
            order.max_batch_size,
            batch_axes=order.batch_axes,
            axes=model.axes,
        )
        timing = self._timing(phases)
        if timing is not None:
            timing.load_into(target)
        target.progress_monitor = make_monitor(phases.trt, watch)
        try:
            # TensorRT notices that it was stopped only at the end of a step, perhaps most of the
            # build
            with phases.library.journal.quietly(lambda: watch.stopped):
                plan = phases.serialize(builder, network, target)
        except BuildError:
            self._explain(watch)
            raise
        self._explain(watch)
        phases.let_go()  # nothing else runs while this much memory is freed
        _demand_unchanged(model)
        self._check_new(plan, model)
        if timing is not None:
            timing.save_from(target, self._stop)
        seconds = perf_counter() - began
        log.info("%s: built in %.1f s", model.name, seconds)
        return plan, seconds

    def _check_new(self, plan: HostMemory, model: OnnxModel | FunctionModel) -> None:
        if self._order.check is None:
            return
        with TemporaryDirectory(prefix="trtasync-") as folder:
            path = Path(folder) / "model.plan"
            write_atomically(path, plan, PRIVATE)
            self._check(path, model, Owner.me())

    def _check_kept(self, entry: CachedPlan, key: str, model: OnnxModel | FunctionModel) -> None:
        """Check a plan in the cache, which may have been built without a check."""
        cache = self._order.cache
        assert cache is not None
        try:
            self._check(entry.path, model, cache.owner)
        except BuildError:
            with cache.writing(key, self._stop):
                cache.forget(key)
            raise

    def _check(self, plan: Path, model: OnnxModel | FunctionModel, owner: Owner) -> None:
        order = self._order
        if order.check is not None and isinstance(model, OnnxModel):
            go_on(self._stop)
            kept = PlanFile(plan, owner, order.config.carries_code and owner.is_me)
            order.check.demand(model.file.path, kept, order.device, order.batch_axes)

    def _timing(self, phases: Phases) -> TimingCacheFile | None:
        cache, device = self._order.cache, phases.device
        unwanted = self._order.config.timing_cache is False or phases.library.flavour.is_rtx
        if cache is None or device is None or unwanted:
            return None
        return TimingCacheFile(
            timing_file(cache.timing, phases.version, device.name, _capability(device))
        )

    def _explain(self, watch: Watch) -> None:
        """Say why a build has ended early, if TensorRT itself was not the reason."""
        if watch.error is not None:
            raise watch.error
        go_on(self._stop)


def _demand_unchanged(model: OnnxModel | FunctionModel) -> None:
    """Demand unchanged weights: the key is of what was hashed, but TensorRT read them later."""
    if isinstance(model, OnnxModel) and (names := model.file.changed()):
        raise BuildError(
            f"{model.file.path}: {', '.join(names)} changed while the plan was built; build again."
        )


def _capability(device: Device) -> str:
    return ".".join(map(str, device.capability))
