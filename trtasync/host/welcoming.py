"""Which clients are admitted, and what they are told about their model."""

import os
from collections.abc import Mapping

import trtasync
from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.host.models import Model
from trtasync.shared.greeting import Hello, Welcome, tell_judgement, tell_spec
from trtasync.shared.records import PROTOCOL


def welcome(
    hello: Hello, models: Mapping[str, Model], most_bytes: int
) -> tuple[Model | None, Welcome]:
    """Find the model that a client requests, and the answer to its greeting.

    Args:
        hello: the greeting.
        models: all of the host's models, by name.
        most_bytes: memory that the client may share.

    Raises:
        BackendUnavailable: client and host are of different versions.
        InvalidInput: there is no such model.
    """
    if (hello.protocol, hello.version) != (PROTOCOL, trtasync.__version__):
        raise BackendUnavailable(
            f"the engine process {os.getpid()} runs trtasync {trtasync.__version__} (protocol "
            f"{PROTOCOL}), but this client runs trtasync {hello.version} (protocol "
            f"{hello.protocol}); end the engine process, or use one version for both."
        )
    names = tuple(models)
    if hello.observer:
        return None, Welcome(trtasync.__version__, os.getpid(), names)
    name = names[0] if hello.model is None and len(names) == 1 else hello.model
    if name is None or name not in models:
        raise InvalidInput(
            f"the engine process serves {', '.join(names)}; "
            f"{'say which one (model=)' if name is None else f'{name!r} is none of them'}.",
            name="model",
            expected=names,
            got=name,
        )
    model = models[name]
    return model, Welcome(
        trtasync.__version__,
        os.getpid(),
        names,
        name,
        tell_spec(model.spec),
        tell_judgement(model.engine.batching),
        most_bytes,
    )
