"""The page that shows people how the models are doing: what it says, and that it is harmless."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree as Tree

import anyio
import httpx
import pytest
from hypothesis import given, strategies

from support.helpers import rows
from tests.server.serving import client_of, error_of, filled, held, models_of, opener
from trtasync import DeviceLost
from trtasync.server.dashboard.markup import element
from trtasync.server.dashboard.route import dashboard
from trtasync.server.models import Models
from trtasync.testing import ScriptedBackend
from trtasync.words import shown

pytestmark = pytest.mark.anyio

NASTY = '</style><script>alert("1")</script> & \x1b[31m'


@pytest.fixture
async def models(backend: ScriptedBackend) -> Models:
    """One model "m"."""
    return models_of(backend, max_batch_size=4)


@pytest.fixture
async def client(models: Models) -> AsyncIterator[httpx.AsyncClient]:
    """Of a server with the page."""
    async with client_of(models, routes=[dashboard(models)]) as client:
        yield client


async def look(client: httpx.AsyncClient, query: str = "") -> Tree.Element:
    """The page, which is XML too."""
    response = await client.get(f"/dashboard{query}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return Tree.fromstring(response.text.removeprefix("<!DOCTYPE html>"))


def text(found: Tree.Element | None) -> str:
    """All of it."""
    assert found is not None
    return "".join(found.itertext())


def tiles(page: Tree.Element) -> dict[str, str]:
    """The figures of the first model."""
    told = page.find(".//dl")
    assert told is not None
    return {text(each.find("dt")): text(each.find("dd")) for each in told}


def table(page: Tree.Element, title: str) -> dict[str, list[str]]:
    """The lines of a table of the first model, by what they begin with."""
    found = next(each for each in page.iter("table") if text(each.find(".//th")) == title)
    lines = [[text(cell) for cell in line] for line in found.iterfind("tbody/tr")]
    return {name: told for name, *told in lines}


async def test_what_was_counted(client: httpx.AsyncClient, models: Models) -> None:
    engine = models.deployed("m").engine
    for values in ([1], [1, 2, 3], [1, 2, 3, 4]):
        await engine.infer({"x": rows(values)})
    page = await look(client)
    assert text(page.find(".//h2")) == "mversion 1ready"
    told = tiles(page)
    assert told["rows in a batch"] == "2.67"
    assert (told["rows waiting"], told["rows running"]) == ("0", "0")
    assert told["requests/s"] == "\N{EN DASH}"  # nobody looked before
    assert told["latency, p99"].endswith("s")
    sizes = table(page, "1")
    assert [line[-1] for line in sizes.values()] == ["33 %", "67 %"]
    assert list(sizes) == ["1", "3\N{EN DASH}4"]
    assert list(table(page, "Time")) == ["request", "waiting", "computing", "handing out"]
    assert list(table(page, "Device, stream")) == ["0, 0"]
    assert "3 answered, 0 failed" in text(page.find(".//section"))


async def test_the_second_look_tells_rates(client: httpx.AsyncClient, models: Models) -> None:
    engine = models.deployed("m").engine
    await look(client)
    await engine.infer({"x": rows([1, 2])})
    page = await look(client)
    told = tiles(page)
    assert float(told["rows/s"].split()[0].replace(",", "")) > 0
    assert page.find(".//polyline") is not None
    assert table(page, "Device, stream")["0, 0"][2].endswith(" %")


async def test_what_waits_and_runs(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    engine = models.deployed("m").engine
    async with anyio.create_task_group() as tasks:
        with held(backend):
            tasks.start_soon(engine.infer, {"x": rows([1, 2, 3])})
            await filled(engine, queued=0, in_flight=3)
            tasks.start_soon(engine.infer, {"x": rows([1, 2])})
            await filled(engine, queued=2, in_flight=3)
            told = tiles(await look(client))
    assert (told["rows waiting"], told["rows running"]) == ("2", "3")


async def test_who_is_not_ready(client: httpx.AsyncClient, models: Models) -> None:
    """The page says of the server what its health says."""
    later = models.add("later", opener(ScriptedBackend()), version=7)
    page = await look(client)
    assert text(page.find(".//header/span")) == "ready"
    heads = [text(each) for each in page.iter("h2")]
    assert heads == ["mversion 1ready", "laterversion 7unavailable"]
    assert [text(each) for each in page.iter("p") if each.get("class") == "reason"] == [
        "not loaded yet"
    ]
    await later.load()
    await later.unload()
    assert text((await look(client)).find(".//header/span")) == "not ready"


async def test_a_model_whose_requests_run_alone(backend: ScriptedBackend) -> None:
    models = models_of(backend, batching=False)
    async with client_of(models, routes=[dashboard(models)]) as client:
        page = await look(client)
    assert text(page.find(".//h2")) == "mversion 1readyruns alone"
    assert text(page.find(".//section/p")) == "Every request runs alone: batching=False."


async def test_a_lost_device(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    backend.lose = True
    with pytest.raises(DeviceLost):
        await models.deployed("m").engine.infer({"x": rows([1])})
    page = await look(client)
    assert text(page.find(".//h2")) == "mversion 1device lost"
    assert list(table(page, "Device, stream")) == ["0, 0: lost"]
    assert tiles(page)["refused, failed, late"] == "1"


async def test_a_server_that_ends_or_has_no_models() -> None:
    models = Models()
    async with client_of(models, routes=[dashboard(models)]) as client:
        assert "no models" in text((await look(client)).find(".//main"))
        models.is_closing = True
        assert text((await look(client)).find(".//header/span")) == "ending"


async def test_texts_of_others_are_texts(client: httpx.AsyncClient, models: Models) -> None:
    models.find("m").reason = NASTY
    page = await look(client)
    reason = next(each for each in page.iter("p") if each.get("class") == "reason")
    assert text(reason) == shown(NASTY)
    assert page.find(".//script") is None


async def test_nothing_is_loaded_or_run(client: httpx.AsyncClient) -> None:
    response = await client.get("/dashboard")
    page = Tree.fromstring(response.text.removeprefix("<!DOCTYPE html>"))
    assert {each.tag for each in page.iter()}.isdisjoint({"script", "img", "link", "iframe"})
    for each in page.iter():
        assert all(value.startswith("?") for key, value in each.items() if key in {"href", "src"})
        assert not any(key == "style" or key.startswith("on") for key in each.attrib)
    style = text(page.find(".//style"))
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("query", "seconds"), [("", "2"), ("?refresh=30", "30")])
async def test_it_comes_anew(client: httpx.AsyncClient, query: str, seconds: str) -> None:
    page = await look(client, query)
    refresh = [each.get("content") for each in page.iter("meta") if each.get("http-equiv")]
    assert refresh == [seconds]
    assert f"every {seconds} s" in text(page.find(".//nav"))


async def test_it_holds_still_if_it_is_told_to(client: httpx.AsyncClient) -> None:
    page = await look(client, "?refresh=0")
    assert not [each for each in page.iter("meta") if each.get("http-equiv")]
    assert [each.get("href") for each in page.iter("a")] == ["?refresh=2"]


@pytest.mark.parametrize(
    "asked", ["", "-1", "1.5", "3601", "99999999999", "x", "\N{SUPERSCRIPT TWO}"]
)
async def test_a_refresh_that_is_none(client: httpx.AsyncClient, asked: str) -> None:
    error_of(await client.get("/dashboard", params={"refresh": asked}), 400)


@given(strategies.text(), strategies.text())
def test_whatever_a_text_is_it_stays_one(content: str, value: str) -> None:
    told: Any = Tree.fromstring(element("p", content, element("b", value), data_value=value))
    assert (told.text or "", told.get("data-value")) == (shown(content), shown(value))
    assert text(told.find("b")) == shown(value)
