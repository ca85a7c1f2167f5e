"""What a host reports about itself: all models, all clients."""

import os
import time
from collections.abc import Sequence
from typing import Any

import trtasync
from trtasync.host.models import Model
from trtasync.host.session import Session
from trtasync.shared.figures import statistics_to_plain


def tell_host(models: Sequence[Model], sessions: Sequence[Session], began: float) -> dict[str, Any]:
    """Describe the host as plain data.

    Args:
        models: the served models.
        sessions: the clients' sessions.
        began: when the host started, in seconds since 1970.
    """
    return {
        "pid": os.getpid(),
        "version": trtasync.__version__,
        "uptime": time.time() - began,
        "models": {model.name: statistics_to_plain(model.engine.statistics()) for model in models},
        "clients": [session.told() for session in sessions],
    }
