"""What a caller sends reaches the provider as it was sent, and what is not the provider's stays here."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import (
    DONE,
    HEAD,
    SECRET,
    Provider,
    Scene,
    both,
    channel,
    chunk,
    completion,
    event,
    events,
    lasting,
    nothing_is_held,
    row_of,
    says,
    streamed,
)

from upstreams import Received, answer
from whole_scene import Reply, chat

MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'
UNTOUCHED = (
    b'"x_new":{"ratio":1.50,"count":123456789012345678901234567890,"tiny":1E-7,"zero":-0.0}',
    b'"x_text":"\\u00e9\\/\\ud83d\\ude00 \\"quoted\\" \xc3\xa9"',
    b'"x_list": [ 1.0 ,\t2 , null , {"a": null} ]',
    b'"temperature":1.50',
    b'"top_p":0.10',
    b'"messages": [ {"role": "user", "content": "caf\\u00e9 \\/ \xf0\x9f\x98\x80", "x_more": 1.50} ]',
    b'"metadata":{"a":"\\u2028"}',
)


def configuration(provider: Provider) -> str:
    provider.scripts |= {"good": both("fine words"), "held": both("never")}
    return channel(provider, "good") + channel(provider, "held")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("passing"), configuration) as scene:
        yield scene


def body(*fields: bytes) -> bytes:
    return b'{"model":"m/good",' + b",".join(fields) + b"}"


def sent(scene: Scene, raw: bytes) -> bytes:
    """What the provider was sent for `raw`."""

    async def main() -> bytes:
        reply = await scene.gateway.ask(raw)
        assert reply.status == 200, reply.body
        return scene.provider.requests["good"][-1].body

    return scene.run(main)


def test_fields_of_a_request_go_on_byte_for_byte_known_or_not(scene: Scene) -> None:
    arrived = sent(scene, body(*UNTOUCHED))

    for field in UNTOUCHED:
        name, _, value = field.partition(b":")
        assert name + b":" + value.strip() in arrived, name
    assert json.loads(arrived).keys() == json.loads(body(*UNTOUCHED)).keys()


def test_an_image_of_ten_megabytes_goes_on_byte_for_byte(scene: Scene) -> None:
    image = base64.b64encode(bytes(range(256)) * 40_960)
    assert len(image) > 10_000_000
    part = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,' + image + b'","detail":"low"}}'
    messages = b'"messages":[{"role":"user","content":[' + part + b"]}]"

    assert messages in sent(scene, body(messages))


def test_the_callers_key_and_headers_stay_here_and_the_channels_key_goes(scene: Scene) -> None:
    async def main() -> None:
        told = {"cookie": "session=1", "x_custom": "mine", "x_request_id": "label-1", "user_agent": "spy"}
        await scene.gateway.ask(chat("hi", model="m/good"), **told, idempotency_key="k-1")

        (*_, request) = scene.provider.requests["good"]
        assert request.fields["authorization"] == f"Bearer {SECRET}"
        assert request.fields.keys() == {
            "host",
            "content-type",
            "authorization",
            "accept-encoding",
            "content-length",
        }
        assert scene.gateway.key.encode() not in request.head + request.body

    scene.run(main)


def test_the_model_is_renamed_for_the_provider_and_canonical_for_the_caller(scene: Scene) -> None:
    async def main() -> None:
        whole = await scene.gateway.ask(chat("hi", model="m/good"))
        assert scene.provider.body("good")["model"] == "hidden-good"
        assert whole.json["model"] == "m/good"
        stream = await scene.gateway.ask(
            chat("hi", model="m/good", stream=True, stream_options={"include_usage": True})
        )
        assert {said["model"] for said in stream.chunks} == {"m/good"}
        assert b"hidden" not in whole.body + stream.body
        refused = answer(
            json.dumps({"error": {"message": "hidden-good is not for this", "param": "n"}}).encode(),
            status="400 Bad Request",
        )
        scene.provider.scripts["good"] = says(refused)
        failed = await scene.gateway.ask(chat("hi", model="m/good"))
        assert (failed.error["message"], failed.error["param"]) == ("m/good is not for this", "n")

    try:
        scene.run(main)
    finally:
        scene.provider.scripts["good"] = both("fine words")


@pytest.mark.parametrize(
    ("twice", "once"),
    [
        (b'"temperature":0.1,"temperature":0.25', b'"temperature":0.25'),
        (b'"x_new":{"a":1},"x_new":[2.50]', b'"x_new":[2.50]'),
        (b'"seed":1,"seed":null', b""),
        (b'"model":"m/none","model":"m/good"', b'"model":"hidden-good"'),
    ],
)
def test_of_a_field_that_stands_twice_the_last_goes_on_alone(twice: bytes, once: bytes, scene: Scene) -> None:
    arrived = sent(scene, body(twice, MESSAGES))

    name = twice.partition(b":")[0]
    assert arrived.count(name) == (1 if once else 0)
    assert once in arrived


def test_of_messages_that_stand_twice_the_last_go_on_alone(scene: Scene) -> None:
    arrived = sent(scene, body(b'"messages":[{"role":"user","content":"first"}]', MESSAGES))

    assert arrived.count(b'"messages"') == 1
    assert MESSAGES in arrived


def test_inside_a_message_too_the_last_of_two_fields_counts(scene: Scene) -> None:
    arrived = sent(scene, body(b'"messages":[{"role":"system","role":"user","content":"a","content":"b"}]'))

    assert json.loads(arrived)["messages"] == [{"role": "user", "content": "b"}]
    assert arrived.count(b'"content"') == arrived.count(b'"role"') == 1


def held_for(scene: Scene, *fields: bytes) -> tuple[int, bytes]:
    """Credits that a call holds while the provider thinks, and what that was sent."""
    thinks, may_answer = asyncio.Event(), asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        thinks.set()
        await may_answer.wait()
        writer.write(completion())

    async def main() -> tuple[int, bytes]:
        scene.provider.scripts["held"] = script
        raw = b'{"model":"m/held",' + b",".join((*fields, MESSAGES)) + b"}"
        asking = asyncio.create_task(scene.gateway.ask(raw))
        await thinks.wait()
        held: int = (await scene.gateway.credits())["held"]
        may_answer.set()
        assert (await asking).status == 200
        await nothing_is_held(scene.gateway)
        return held, scene.provider.requests["held"][-1].body

    return scene.run(main)


def test_a_limit_that_stands_twice_is_sent_once_and_held_by_the_last(scene: Scene) -> None:
    # The bound of a prompt is that of the body's length: all of these are equally long.
    less, _ = held_for(scene, b'"x_new_word":100', b'"max_tokens":100')
    more, _ = held_for(scene, b'"x_new_word":100', b'"max_tokens":200')

    held, arrived = held_for(scene, b'"max_tokens":100', b'"max_tokens":200')

    assert more == less + 100 * 2
    assert held == more
    assert arrived.count(b"max_tokens") == 1
    assert b'"max_tokens":200' in arrived


def test_of_two_names_for_the_limit_the_newer_one_counts(scene: Scene) -> None:
    once, _ = held_for(scene, b'"max_completion_tokens":100', b'"x_new_word":5000')

    held, arrived = held_for(scene, b'"max_completion_tokens":100', b'"max_tokens":5000')

    assert held == once
    assert json.loads(arrived)["max_completion_tokens"] == 100
    assert b'"max_tokens"' not in arrived


def test_a_field_that_is_null_is_as_one_that_is_absent(scene: Scene) -> None:
    nothing = (b'"temperature":null', b'"max_tokens":null', b'"stream":null', b'"tools":null', b'"x":null')
    ours = (b'"usage":null', b'"max_cost_usd":null', b'"models":null', b'"provider":null')

    arrived = sent(scene, body(*nothing, *ours, MESSAGES))

    assert json.loads(arrived) == json.loads(sent(scene, body(MESSAGES)))


def test_what_is_for_the_gateway_never_reaches_a_provider(scene: Scene) -> None:
    arrived = sent(scene, body(b'"usage":{"include":true}', b'"max_cost_usd":0.5', MESSAGES))

    assert json.loads(arrived).keys() == {"model", "messages"}


def test_stream_options_without_a_stream_are_dropped(scene: Scene) -> None:
    options = b'"stream_options":{"include_usage":true,"include_obfuscation":false}'

    assert b"stream_options" not in sent(scene, body(options, MESSAGES))
    streaming = json.loads(sent(scene, body(options, b'"stream":true', MESSAGES)))
    assert streaming["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    refusing = json.loads(
        sent(scene, body(b'"stream_options":{"include_usage":false}', b'"stream":true', MESSAGES))
    )
    assert refusing["stream_options"] == {"include_usage": True}


def asked(scene: Scene, raw: bytes, **fields: Any) -> Reply:
    """The answer of a caller whose provider says `raw`."""

    async def main() -> Reply:
        scene.provider.scripts["held"] = says(raw)
        return await scene.gateway.ask(chat("hi", model="m/held", **fields))

    return scene.run(main)


def test_unknown_fields_of_an_answer_are_passed_on(scene: Scene) -> None:
    message = {"role": "assistant", "content": "a", "refusal": None, "x_inside": [1]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "x_choice": 1.5}

    reply = asked(scene, completion(choices=[choice], x_more={"a": [1, None]}, service_tier="default"))

    assert reply.json["choices"] == [choice]
    assert reply.json["x_more"] == {"a": [1, None]}
    assert (reply.json["id"], reply.json["created"]) == ("chatcmpl-up", 1_700_000_000)
    assert reply.json["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_unknown_fields_of_a_chunk_are_passed_on_byte_for_byte(scene: Scene) -> None:
    odd = (
        b'data: {"id":"chatcmpl-up","object":"chat.completion.chunk","created":1,"model":"hidden",'
        b'"choices":[{"index":0,"delta":{"content":"\\u00e9","x_in":1.50},"finish_reason":null}],'
        b'"x_big":123456789012345678901234567890}\n\n'
    )

    reply = asked(scene, streamed(chunk("", role=True) + odd + chunk(finish="stop") + DONE), stream=True)

    assert b'{"content":"\\u00e9","x_in":1.50}' in reply.body
    assert b'"x_big":123456789012345678901234567890' in reply.body


def test_an_event_of_one_and_a_half_megabytes_passes(scene: Scene) -> None:
    large = "größe " * 230_000
    assert len(large.encode()) > 1_500_000

    reply = asked(scene, streamed(events("a", large, "z")), stream=True)

    assert reply.text == "a" + large + "z"
    assert reply.events[-1] == "[DONE]"


def test_the_cost_is_told_in_the_usage_where_it_is_asked_for(scene: Scene) -> None:
    whole = asked(scene, completion(), usage={"include": True})
    told = streamed(events("a", "b"))
    stream = asked(scene, told, usage={"include": True}, stream=True)
    silent = asked(scene, told, stream=True)

    assert whole.json["usage"]["cost"] == 3 + 2 * 2
    assert whole.json["usage"]["cost_details"] == {"prompt": 3, "completion": 4}
    assert stream.chunks[-1]["usage"]["cost"] == 7
    assert b"usage" not in silent.body


def test_an_answer_tells_its_ids_channel_attempts_cost_and_time_in_headers(scene: Scene) -> None:
    async def main() -> None:
        whole = await scene.gateway.ask(chat("hi", model="m/good"), x_request_id="mine-1")
        stream = await scene.gateway.ask(chat("hi", model="m/good", stream=True), x_request_id="mine-2")
        for number, reply in ((1, whole), (2, stream)):
            headers = reply.headers
            assert headers["x-request-id"] == f"mine-{number}"
            assert (headers["x-deeptoken-channel"], headers["x-deeptoken-attempts"]) == ("openai", "1")
            assert headers["openai-processing-ms"].isdecimal()
            row = await row_of(scene.gateway, headers["x-deeptoken-id"])
            assert (row.request_id, row.upstream_id) == (f"mine-{number}", "chatcmpl-up")
            assert row.charged == 3_000 + 2 * 2_000
        assert whole.headers["x-deeptoken-cost"] == "7"
        assert "x-deeptoken-cost" not in stream.headers
        assert stream.headers["content-type"].startswith("text/event-stream")

    scene.run(main)


def test_an_event_without_choices_or_a_ping_disturbs_nobody(scene: Scene) -> None:
    first = event({**HEAD, "choices": [], "id": "", "prompt_filter_results": [{"prompt_index": 0}]})

    reply = asked(scene, streamed(first + b": ping\n\nevent: ping\ndata:\n\n" + events("a")), stream=True)

    assert reply.text == "a"
    assert reply.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
