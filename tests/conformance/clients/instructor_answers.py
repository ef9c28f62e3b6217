"""Answers of a type, by Instructor over OpenAI's client and Anthropic's: by tool, as JSON, in parts."""

import os

import anthropic
import instructor
import openai
import pytest
from pydantic import BaseModel

ORIGIN, KEY = os.environ["DEEPTOKEN_ORIGIN"], os.environ["DEEPTOKEN_KEY"]
ASKED = [{"role": "user", "content": "Where is 'Oslo' with its 700 thousand people?"}]
MODES = pytest.mark.parametrize(
    "mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA], ids=lambda mode: mode.name
)


class Place(BaseModel):
    name: str
    inhabitants: int


OSLO = {"name": "Oslo", "inhabitants": 700}


@MODES
def test_an_answer_has_the_type_that_was_asked_for(mode: instructor.Mode) -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY), mode=mode)

    told = client.chat.completions.create(model="mind", messages=ASKED, response_model=Place)

    assert told.model_dump() == OSLO


@MODES
async def test_so_it_has_asynchronously(mode: instructor.Mode) -> None:
    client = instructor.from_openai(openai.AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY), mode=mode)

    told = await client.chat.completions.create(model="mind", messages=ASKED, response_model=Place)

    assert told.model_dump() == OSLO


def test_a_streamed_answer_grows_to_the_same() -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY))

    parts = list(client.chat.completions.create_partial(model="mind", messages=ASKED, response_model=Place))

    assert parts[-1].model_dump() == OSLO
    assert len(parts) > 1


async def test_so_it_does_by_anthropics_client() -> None:
    client = instructor.from_anthropic(anthropic.AsyncAnthropic(base_url=ORIGIN, api_key=KEY))

    told = await client.messages.create(model="mind", max_tokens=500, messages=ASKED, response_model=Place)

    assert told.model_dump() == OSLO
