"""The two fixtures that the vendors' tests want, for a key that the gateway knows. A pytest plugin."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest

CLIENTS: dict[str, tuple[Any, Any, Any]] = {
    "openai": (openai.OpenAI, openai.AsyncOpenAI, openai.DefaultAioHttpClient),
    "anthropic": (anthropic.Anthropic, anthropic.AsyncAnthropic, anthropic.DefaultAioHttpClient),
}
BASES = {"openai": "/v1", "anthropic": ""}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vendor", required=True, choices=CLIENTS)
    parser.addoption("--origin", required=True)
    parser.addoption("--key", required=True)


def options(config: pytest.Config, *, strict: bool) -> dict[str, Any]:
    return {
        "base_url": config.getoption("--origin") + BASES[config.getoption("--vendor")],
        "api_key": config.getoption("--key"),
        "_strict_response_validation": strict,
    }


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Any]:
    make, _, _ = CLIENTS[pytestconfig.getoption("--vendor")]
    with make(**options(pytestconfig, strict=request.param)) as client:
        yield client


@pytest.fixture(scope="module")
async def async_client(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> AsyncIterator[Any]:
    _, make, aiohttp = CLIENTS[pytestconfig.getoption("--vendor")]
    door = aiohttp() if isinstance(request.param, dict) else None
    strict = True if door is not None else request.param
    async with make(**options(pytestconfig, strict=strict), http_client=door) as client:
        yield client
