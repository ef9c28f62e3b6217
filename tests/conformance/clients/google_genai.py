"""Google's own client reads what `deeptoken mock` says in Gemini's dialect."""

import os

import pytest
from google import genai
from google.genai import errors, types

MOCK = os.environ["DEEPTOKEN_MOCK"]
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(
                type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]
            ),
        )
    ]
)


@pytest.fixture
def client() -> genai.Client:
    once = types.HttpRetryOptions(attempts=1)
    options = types.HttpOptions(base_url=MOCK.removesuffix("/v1"), retry_options=once)
    return genai.Client(api_key="any", vertexai=False, http_options=options)


def test_an_answer_is_read_with_its_usage(client: genai.Client) -> None:
    told = client.models.generate_content(model="echo", contents="seven words")

    assert told.text == "seven words"
    assert told.candidates[0].finish_reason == types.FinishReason.STOP
    assert told.usage_metadata.candidates_token_count == 2


def test_a_stream_says_the_same(client: genai.Client) -> None:
    parts = list(client.models.generate_content_stream(model="echo", contents="one two three"))

    assert "".join(part.text or "" for part in parts) == "one two three"
    assert len(parts) > 1
    assert parts[-1].usage_metadata.candidates_token_count == 3


async def test_so_it_does_asynchronously(client: genai.Client) -> None:
    stream = await client.aio.models.generate_content_stream(model="echo", contents="one two")

    assert "".join([part.text or "" async for part in stream]) == "one two"


def test_a_tool_that_must_be_called_is(client: genai.Client) -> None:
    forced = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    config = types.GenerateContentConfig(tools=[WEATHER], tool_config=forced)

    told = client.models.generate_content(model="text", contents="Weather in Oslo?", config=config)

    [call] = told.function_calls
    assert (call.name, list(call.args)) == ("weather", ["city"])


def test_json_of_a_schema_is_answered(client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    )

    told = client.models.generate_content(model="text", contents="A number.", config=config)

    assert isinstance(told.parsed["n"], int)


def test_tokens_are_counted(client: genai.Client) -> None:
    assert client.models.count_tokens(model="text", contents="seven words").total_tokens > 0


def test_an_error_is_raised_with_its_status(client: genai.Client) -> None:
    with pytest.raises(errors.APIError) as refused:
        client.models.generate_content(model="error-429", contents="hello")

    assert refused.value.code == 429
