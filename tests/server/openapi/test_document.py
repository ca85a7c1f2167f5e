"""The description is of what there is: routes, bodies, statuses, media types."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from support.doubles.child import ROOT
from trtasync.server.asgi import application
from trtasync.server.failures import WAYS_OUT
from trtasync.server.models import Models
from trtasync.server.openapi import MEANINGS, PATH
from trtasync.server.protocol.refusals import STATUSES

pytestmark = pytest.mark.anyio

INFER = "/v2/models/{model}/infer"
FOR_LOGS = {499}
UNDESCRIBED = {405}
"""Of methods that are not described."""


async def described(app: Any, root: str = "") -> Any:
    """By the application itself."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        response = await client.get(f"{root}{PATH}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return response.json()


@pytest.fixture
async def document() -> Any:
    """Of a server of no models: they make no difference."""
    return await described(application(Models()))


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Path, method and what is said of them."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def resolved(document: Any, told: Any) -> Any:
    """What a reference leads to."""
    while "$ref" in told:
        place = document
        for part in told["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        told = place
    return told


async def test_every_route_is_described_and_no_other(document: Any) -> None:
    routes = {
        (route.path, method)
        for route in application(Models()).routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    # who answers GET answers HEAD
    assert {(path, method) for path, method, _ in operations(document)} == {
        (path, method) for path, method in routes if method != "HEAD"
    }
    assert (PATH, "GET") in routes


async def test_every_operation_has_a_name_of_its_own(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


async def test_every_name_in_a_path_is_a_parameter(document: Any) -> None:
    for path, _, operation in operations(document):
        parameters = [resolved(document, each) for each in operation["parameters"]]
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))


async def test_every_reference_leads_somewhere(document: Any) -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    for each in references:
        assert resolved(document, {"$ref": each})
    kinds = {each.split("/")[2] for each in references}
    assert kinds == {"schemas", "parameters", "responses"}
    for kind in kinds:  # and nothing is there for nothing
        assert {f"#/components/{kind}/{name}" for name in document["components"][kind]} <= (
            references
        )


async def test_every_error_is_described_and_is_of_the_protocols_form(document: Any) -> None:
    found: dict[int, set[str]] = {}
    for path, _, operation in operations(document):
        assert min(operation["responses"]) == "200"
        for status, told in operation["responses"].items():
            if status == "200":
                continue
            found.setdefault(int(status), set()).add(path)
            content = resolved(document, told)["content"]
            (media,) = content
            schema = resolved(document, content[media]["schema"])
            assert (media, schema["required"]) == ("application/json", ["error"])
    assert set(found) == set(MEANINGS)
    assert {status for _, status in STATUSES} - FOR_LOGS <= found.keys()
    assert INFER in found[429] & found[504] & found[415]
    assert found[500] == set(document["paths"])  # nobody foresees all
    assert all("repository" in path for path in found[403])


async def test_who_is_sent_away_is_told_what_to_do(document: Any) -> None:
    headers = {
        int(status): list(told["headers"])
        for status, told in document["components"]["responses"].items()
        if "headers" in told
    }
    wait = ["Retry-After"]
    assert headers == {401: ["WWW-Authenticate"], 415: ["Accept-Encoding"], 429: wait, 503: wait}
    lower = {status: {name.lower() for name in names} for status, names in headers.items()}
    assert all(set(told) == lower[status] for status, told in WAYS_OUT.items())


async def test_tensors_come_and_go_behind_json(document: Any) -> None:
    media = {"application/json", "application/octet-stream"}
    for path, _, operation in operations(document):
        has_tensors = path.endswith("/infer")
        told = [operation.get("requestBody", {}), operation["responses"]["200"]]
        for each in told:
            expected = media if has_tensors else media - {"application/octet-stream"}
            assert set(each.get("content", ())) in (expected, set())
        parameters = [resolved(document, each)["name"] for each in operation["parameters"]]
        assert ("inference-header-content-length" in parameters) is has_tensors
    assert document["paths"][INFER]["post"]["requestBody"]["required"]
    assert not document["paths"]["/v2/repository/index"]["post"]["requestBody"]["required"]


async def test_what_a_request_may_hold(document: Any) -> None:
    """What parameters mean, besides that there may be others."""
    schemas = document["components"]["schemas"]
    assert schemas["InferRequest"]["required"] == ["inputs"]
    any_, known = schemas["InferRequest"]["properties"]["parameters"]["allOf"]
    assert any_["additionalProperties"]
    assert set(resolved(document, known)["properties"]) >= {"timeout", "priority"}
    data = schemas["InputTensor"]["properties"]["data"]
    assert data == {"type": "array"}
    assert "data" not in schemas["InputTensor"]["required"]


async def test_mounted_it_says_where() -> None:
    outer = Starlette(routes=[Mount("/models", application(Models()))])
    assert (await described(outer, "/models"))["servers"] == [{"url": "/models"}]
    assert (await described(application(Models())))["servers"] == [{"url": "/"}]


def test_the_page_has_the_same_statuses() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text()
    table = page[page.index("| status |") : page.index("A client that disconnects")]
    rows = re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE)
    told = {int(each) for row in rows for each in row.split(",")}
    assert told == set(MEANINGS) | FOR_LOGS | UNDESCRIBED
    assert all(HTTPStatus(status) for status in MEANINGS)
