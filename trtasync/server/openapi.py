"""A description of the server for programs: an OpenAPI 3.1 document, made from what answers.

The application's routes are made from the same `Way`s, and requests are read as the same structs.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from trtasync import __version__
from trtasync.server.protocol.answers import JSON_LENGTH, OCTETS
from trtasync.server.protocol.bodies import FORMS
from trtasync.server.protocol.refusals import JSON, ErrorBody
from trtasync.server.protocol.schema import KNOWN_PARAMETERS
from trtasync.server.responses import Endpoint

PATH = "/v2/openapi.json"

MEANINGS: Mapping[int, str] = {
    400: "The request, or its input, is none for this model.",
    401: "No token of those that the server wants.",
    403: "Loading and unloading, where it is not allowed.",
    404: "No such model or version.",
    408: "A head or a body took too long to come.",
    413: "More bytes or rows than are taken.",
    415: "A Content-Encoding that is not known.",
    417: "Something is expected of the server that it does not do.",
    429: "The queue is full.",
    431: "Too long a head, or too many headers.",
    500: "The model failed on this request, or the server did.",
    501: "Shared memory, or a Transfer-Encoding other than chunked.",
    503: "Not ready, closing, busy, or its device is lost.",
    504: "Its timeout passed.",
}
"""What each status means that a described request may get."""

EVERYWHERE = (400, 401, 408, 413, 417, 431, 500, 501, 503)
"""Statuses that any request may get, because of its form or of the server's state."""

_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer."},
    415: {"Accept-Encoding": "Those that are known."},
    429: {"Retry-After": "Seconds after which to try again."},
    503: {"Retry-After": "Seconds after which to try again."},
}
_REF = "#/components/schemas/{name}"
_VERSION = "/versions/{version}"


class Way(NamedTuple):
    """A method and a path, and what they do.

    Attributes:
        method: the HTTP method.
        path: `{model}` in it stands for any name.
        endpoint: answers requests.
        name: what it does, for programs.
        summary: what it does, for people.
        takes: type of the JSON in requests; None if no body is read.
        gives: type of the JSON in answers; None for an empty body.
        fails: statuses of its own, besides `EVERYWHERE`.
        has_versions: the same exists for a version of the model.
        has_tensors: tensors may follow the JSON, both ways.
    """

    method: str
    path: str
    endpoint: Endpoint
    name: str
    summary: str
    takes: type[msgspec.Struct] | None = None
    gives: Any = None
    fails: tuple[int, ...] = ()
    has_versions: bool = False
    has_tensors: bool = False

    @property
    def paths(self) -> Iterator[tuple[str, str]]:
        """All of its paths, and the name of what each one does."""
        yield self.path, self.name
        if self.has_versions:
            yield self.path.replace("{model}", "{model}" + _VERSION), f"{self.name}_of_version"


def described(ways: Sequence[Way]) -> list[Way]:
    """Return these ways, and one more that describes them all."""

    @lru_cache(maxsize=4)  # it takes milliseconds
    def written(root: str) -> bytes:
        return msgspec.json.encode(document(everything, root))

    async def describe(request: Request) -> Response:
        return Response(written(request.scope.get("root_path", "")), media_type=JSON)

    own = Way("GET", PATH, describe, "openapi", "This description.", gives=dict[str, Any])
    everything = [*ways, own]
    return everything


def document(ways: Sequence[Way], root: str) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        ways: all of them.
        root: the path that all of theirs begin with, if the application is mounted in another.
    """
    bodies = [body for way in ways for body in (way.takes, way.gives) if body is not None]
    kinds = [*bodies, ErrorBody, *KNOWN_PARAMETERS, *KNOWN_PARAMETERS.values()]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    for owner, known in KNOWN_PARAMETERS.items():
        properties = schemas[owner.__name__]["properties"]
        properties["parameters"] = {"allOf": [properties["parameters"], _schema(known)]}
    paths: dict[str, Any] = {}
    for way in ways:
        for path, name in way.paths:
            paths.setdefault(path, {})[way.method.lower()] = _operation(way, path, name)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trtasync",
            "version": __version__,
            "summary": "Models behind the Open Inference Protocol (KServe v2).",
        },
        "servers": [{"url": root or "/"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": _PARAMETERS,
            "responses": {str(status): _failure(status) for status in MEANINGS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_PARAMETERS: Mapping[str, Any] = {
    "model": {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}},
    "version": {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[1-9][0-9]*$"},
    },
    "json_length": {
        "name": JSON_LENGTH,
        "in": "header",
        "description": "Bytes of JSON before those of tensors; 0: all are the only input's.",
        "schema": {"type": "integer", "minimum": 0},
    },
}


def _operation(way: Way, path: str, name: str) -> dict[str, Any]:
    wanted = [each for each in ("model", "version") if f"{{{each}}}" in path]
    wanted += ["json_length"] if way.has_tensors else []
    failures = sorted({*EVERYWHERE, *way.fails})
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": way.summary,
        "parameters": [{"$ref": f"#/components/parameters/{each}"} for each in wanted],
        "responses": {
            "200": {"description": "Done.", **_content(way.gives, way.has_tensors)},
            **{str(each): {"$ref": f"#/components/responses/{each}"} for each in failures},
        },
    }
    if way.takes is not None:
        operation["requestBody"] = {
            "description": f"May be compressed: Content-Encoding {' or '.join(FORMS)}.",
            "required": any(each.required for each in msgspec.structs.fields(way.takes)),
            **_content(way.takes, way.has_tensors),
        }
    if way.has_tensors:
        operation["responses"]["200"]["headers"] = {
            JSON_LENGTH: {
                "description": "Bytes of JSON before those of tensors, if there are any.",
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    return operation


def _content(kind: Any, has_tensors: bool) -> dict[str, Any]:
    if kind is None:
        return {}
    content: dict[str, Any] = {JSON: {"schema": _schema(kind)}}
    if has_tensors:
        content[OCTETS] = {}
    return {"content": content}


def _schema(kind: Any) -> Any:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _failure(status: int) -> dict[str, Any]:
    headers = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in _HEADERS.get(status, {}).items()
    }
    return {
        "description": MEANINGS[status],
        **_content(ErrorBody, has_tensors=False),
        **({"headers": headers} if headers else {}),
    }
