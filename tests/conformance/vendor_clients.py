"""The two fixtures that OpenAI's tests want, for a key that the gateway knows. A pytest plugin."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--base-url", required=True)
    parser.addoption("--key", required=True)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=pytestconfig.getoption("--base-url"),
        api_key=pytestconfig.getoption("--key"),
        _strict_response_validation=request.param,
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def async_client(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> AsyncIterator[openai.AsyncOpenAI]:
    aiohttp = isinstance(request.param, dict)
    async with openai.AsyncOpenAI(
        base_url=pytestconfig.getoption("--base-url"),
        api_key=pytestconfig.getoption("--key"),
        _strict_response_validation=aiohttp or request.param,
        http_client=openai.DefaultAioHttpClient() if aiohttp else None,
    ) as client:
        yield client
