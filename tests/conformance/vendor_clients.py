"""The two fixtures that the vendors' tests want, for a key that the gateway knows. A pytest plugin."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest

FILLED_IN: dict[str, dict[str, Any]] = {"/responses": {"model": "gpt-6-astra", "input": "string"}}
"""What tests of an endpoint leave out: their own server of examples takes a request without."""
LEFT_OUT: dict[str, dict[str, str]] = {
    "/responses": {
        "background": "nothing is stored that could be fetched later",
        "conversation": "nothing is stored",
        "previous_response_id": "nothing is stored",
        "prompt": "templates are stored on the operator's account",
        "context_management": "sim has no Responses of its own, and no chat can compact",
        "moderation": "nor moderate",
    },
    "/completions": {
        "suffix": "sim speaks chat, and no chat fills in the middle",
        "logprobs": "nor tells those of a prompt that is echoed",
    },
}
"""What tests with all parameters ask of an endpoint that is refused here, and why it is."""


def asked(path: str, body: Any) -> Any:
    """A request as the gateway takes it."""
    if path not in LEFT_OUT:
        return body
    told = {name: value for name, value in (body or {}).items() if name not in LEFT_OUT[path]}
    return {**FILLED_IN.get(path, {}), **told}


class OpenAI(openai.OpenAI):
    def post(self, path: str, *, body: Any = None, **options: Any) -> Any:
        return super().post(path, body=asked(path, body), **options)


class AsyncOpenAI(openai.AsyncOpenAI):
    async def post(self, path: str, *, body: Any = None, **options: Any) -> Any:
        return await super().post(path, body=asked(path, body), **options)


CLIENTS: dict[str, tuple[Any, Any, Any]] = {
    "openai": (OpenAI, AsyncOpenAI, openai.DefaultAioHttpClient),
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
