"""What becomes of Ray's errors, without Ray."""

import pickle
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from trtasync import (
    BackendUnavailable,
    DeviceLost,
    EngineClosed,
    InferenceError,
    InvalidInput,
    QueueFull,
)
from trtasync.integrations.ray_serve.failures import RayErrors, as_ours, sendable
from trtasync.integrations.ray_serve.json_errors import JsonErrors


class TaskError(Exception):
    """Carries a replica's exception."""

    def __init__(self, cause: BaseException | None):
        """Of this one."""
        super().__init__("in a replica")
        self.cause = cause


class ReplicaDied(Exception):
    """A process is gone."""


class Crowded(Exception):
    """Too many wait."""


class Undeployed(Exception):
    """There is none."""


class Cancelled(Exception):
    """Ray does not go on with it."""


RAY = RayErrors(
    task=TaskError,
    replica=(ReplicaDied,),
    crowded=Crowded,
    unavailable=(Undeployed,),
    cancelled=(Cancelled,),
)


class Full(QueueFull, Crowded):
    """Both at once, as `Overloaded` is."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ReplicaDied("killed"), DeviceLost),
        (Undeployed("it failed"), BackendUnavailable),
        (Cancelled(), EngineClosed),
        (Crowded("too many"), QueueFull),
    ],
)
@pytest.mark.parametrize("wrap", [lambda error: error, TaskError])
def test_rays_errors_are_an_engines(error: Exception, kind: type[Exception], wrap: Any) -> None:
    assert type(as_ours(wrap(error), RAY)) is kind


@pytest.mark.parametrize(
    "error", [InvalidInput("no"), Full("full"), TimeoutError(), ValueError("of a subclass")]
)
def test_what_a_replica_raises_is_raised_itself(error: Exception) -> None:
    assert as_ours(error, RAY) is error
    assert as_ours(TaskError(error), RAY) is error
    assert as_ours(TaskError(TaskError(error)), RAY) is error


class TwoArguments(Exception):
    """What pickle cannot make again."""

    def __init__(self, text: str, status: int):
        """With more than its message."""
        super().__init__(text)
        self.status = status


def test_what_does_not_survive_being_sent_is_told_in_words() -> None:
    def send(error: Exception) -> None:
        pickle.loads(pickle.dumps(error))

    well = InvalidInput("no", expected=4)
    assert sendable(well, send) is well
    told = sendable(TwoArguments("why", 400), send)
    assert type(told) is InferenceError
    assert str(told) == "TwoArguments: why (it cannot be sent as it is)"


def test_a_task_error_without_a_cause_stays() -> None:
    error = TaskError(None)
    assert as_ours(error, RAY) is error


async def text(request: Request) -> Response:
    """Text, of the status that is asked for."""
    headers = {"retry-after": "1"}
    return PlainTextResponse("too much", int(request.path_params["status"]), headers)


async def pieces(request: Request) -> Response:
    """An error in pieces, none of which is text of anybody's."""

    async def parts() -> Any:
        yield b'"no '
        yield b'way"'

    return StreamingResponse(parts(), 500)


async def own(request: Request) -> Response:
    """An error that is JSON already."""
    return JSONResponse({"error": "own"}, 400)


async def nothing(request: Request) -> Response:
    """An error that says nothing."""
    return Response(None, 503)


APP = JsonErrors(
    Starlette(
        routes=[
            Route("/a/v2/models/text/{status}", text),
            Route("/other/{status}", text),
            Route("/v2/models/pieces", pieces),
            Route("/v2/models/own", own),
            Route("/v2/health/nothing", nothing),
            Route("/shop/v2/users/{status}", text),
        ]
    )
)


async def get(path: str) -> httpx.Response:
    """The application's answer."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://a") as client:
        return await client.get(path)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/a/v2/models/text/503", 503, "too much"),
        ("/v2/models/pieces", 500, "no way"),
        ("/v2/models/own", 400, "own"),
        ("/v2/health/nothing", 503, "Service Unavailable"),
        ("/v2/models", 404, "Not Found"),
        ("/a/v2", 404, "Not Found"),
    ],
)
async def test_errors_in_the_protocols_form(path: str, status: int, error: str) -> None:
    answer = await get(path)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/a/v2/models/text/200", "/other/503", "/shop/v2/users/503"])
async def test_other_answers_stay_as_they_are(path: str) -> None:
    answer = await get(path)
    assert answer.content == b"too much"
    assert answer.headers["retry-after"] == "1"
