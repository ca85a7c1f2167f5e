"""Small programs that build with TensorRT, rightly and wrongly: "networks.identity" -> function."""

import inspect
from types import ModuleType

from tests.genuine.programs import configs, models, monitors, networks, profiles
from tests.genuine.trial import Program


def _of(module: ModuleType) -> dict[str, Program]:
    short = module.__name__.rpartition(".")[2]
    return {
        f"{short}.{name}": value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and list(inspect.signature(value).parameters) == ["t"]
        and value.__annotations__.get("return") is None
    }


PROGRAMS: dict[str, Program] = {
    name: program
    for module in (networks, profiles, configs, models, monitors)
    for name, program in _of(module).items()
}
