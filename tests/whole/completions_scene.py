"""What hosts of OpenAI's older completions say, and OpenAI's own client before a gateway of them.

text, text_chunk, text_events    a whole answer, a chunk, a stream
"""

import json
from typing import Any

from provider_scene import DONE, event, streamed, used

from upstreams import answer
from whole_scene import Reply, Whole

JSON = "Content-Type: application/json"
PROMPT = "Once upon"


def text(*texts: str, finish: str = "length", **fields: Any) -> bytes:
    """A whole answer over HTTP: a choice for each text."""
    choices = [
        {"text": said, "index": at, "logprobs": None, "finish_reason": finish}
        for at, said in enumerate(texts)
    ]
    told = {**HEAD, "choices": choices, "usage": used(3, 2), **fields}
    return answer(json.dumps(told).encode(), JSON)


HEAD = {"id": "cmpl-up", "object": "text_completion", "created": 1_700_000_000, "model": "hidden-text"}


def text_chunk(said: str = "", finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"text": said, "index": index, "logprobs": None, "finish_reason": finish}
    return event({**HEAD, "choices": [choice], **fields})


def text_events(*words: str, finish: str = "length", usage: dict[str, int] | None = None) -> bytes:
    """A whole stream over HTTP."""
    counted = event({**HEAD, "choices": [], "usage": usage or used(3, len(words))})
    said = b"".join(text_chunk(word) for word in words)
    return streamed(said + text_chunk(finish=finish) + counted + DONE)


async def complete(gateway: Whole, model: str, **options: Any) -> Reply:
    """A call in bytes."""
    fields = {name: options.pop(name) for name in tuple(options) if not name.startswith(("x_", "idem"))}
    body = {"model": model, "prompt": PROMPT, **fields}
    return await gateway.ask(body, path="/v1/completions", **options)


def texts_of(reply: Reply) -> dict[int, str]:
    """What a stream said, by its choices."""
    assert reply.status == 200, reply.body
    assert reply.events[-1] == "[DONE]"
    texts: dict[int, str] = {}
    for chunk in reply.chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    return texts
