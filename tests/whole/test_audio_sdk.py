"""OpenAI's own SDK sends audio, as its users do: the model before the file."""

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import openai
import pytest
from audio_scene import HEARD, Ear, Scene, channel, hears, lasting, told
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent, TranscriptionVerbose
from provider_scene import DONE, event

from upstreams import answer

T = TypeVar("T")

FILE = ("a.mp3", b"ID3" + bytes(300_000), "audio/mpeg")
SAID = (
    event({"type": "transcript.text.delta", "delta": "hel"})
    + event({"type": "transcript.text.delta", "delta": "lo"})
    + event({"type": "transcript.text.done", "text": "hello"})
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("sdk"), configuration) as scene:
        yield scene


def configuration(ear: Ear) -> str:
    return channel(ear, "up") + '\n[[channels]]\nname = "sim"\nprovider = "sim"\n'


def called(scene: Scene, call: Callable[[openai.OpenAI], T]) -> T:
    """What the SDK, which waits in a thread of its own, makes of the answer."""

    def ask() -> T:
        url = f"http://127.0.0.1:{scene.gateway.port}/v1"
        with openai.OpenAI(base_url=url, api_key=scene.gateway.key, max_retries=0) as client:
            return call(client)

    return scene.run(lambda: asyncio.to_thread(ask))


def test_the_model_comes_before_the_file_and_lists_come_through(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(told(HEARD))

    heard = called(
        scene,
        lambda client: client.audio.transcriptions.create(
            file=FILE, model="m/up", language="de", include=["logprobs"], timestamp_granularities=["word"]
        ),
    )

    body = scene.ear.heard["up"][-1].body
    assert body.index(b'name="model"\r\n\r\nhidden\r\n') < body.index(b'name="file"')
    assert b'name="timestamp_granularities[]"\r\n\r\nword\r\n' in body
    assert FILE[1] in body
    assert heard.text == "hello"
    assert heard.usage is not None
    assert heard.usage.type == "duration"
    assert heard.usage.seconds == 9


@pytest.mark.filterwarnings("ignore:deprecated")
def test_every_form_of_an_answer_is_read(scene: Scene) -> None:
    verbose = {"task": "transcribe", "language": "german", "duration": 8.5, "text": "hello", "segments": []}
    plain = answer(b"hello\n", "Content-Type: text/plain; charset=utf-8")

    scene.ear.scripts["up"] = hears(told(verbose))
    whole = called(
        scene,
        lambda client: client.audio.transcriptions.create(
            file=FILE, model="m/up", response_format="verbose_json"
        ),
    )
    scene.ear.scripts["up"] = hears(plain)
    text = called(
        scene,
        lambda client: client.audio.transcriptions.create(file=FILE, model="m/up", response_format="vtt"),
    )
    translated = called(
        scene,
        lambda client: client.audio.translations.create(file=FILE, model="m/up", response_format="text"),
    )

    assert isinstance(whole, TranscriptionVerbose)
    assert whole.duration == 8.5
    assert text == translated == "hello\n"


def test_a_stream_is_read_event_by_event(scene: Scene) -> None:
    scene.ear.scripts["up"] = hears(answer(SAID + DONE, "Content-Type: text/event-stream"))

    heard = called(
        scene,
        lambda client: list(client.audio.transcriptions.create(file=FILE, model="t/up", stream=True)),
    )

    *deltas, last = heard
    assert [one.delta for one in deltas if isinstance(one, TranscriptionTextDeltaEvent)] == ["hel", "lo"]
    assert isinstance(last, TranscriptionTextDoneEvent)
    assert last.text == "hello"


def test_an_error_is_one_of_the_sdks_own(scene: Scene) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        called(scene, lambda client: client.audio.transcriptions.create(file=FILE, model="none"))

    assert refused.value.code == "model_not_found"


def test_sim_hears_all_of_it_and_tells_how_long_it_was(scene: Scene) -> None:
    spoken = called(
        scene,
        lambda client: client.audio.speech.create(model="sim/text", voice="x", input="word " * 2_000).read(),
    )

    heard = called(
        scene,
        lambda client: client.audio.transcriptions.create(file=("a.wav", spoken), model="sim/text"),
    )
    words = called(
        scene,
        lambda client: list(
            client.audio.transcriptions.create(file=("a.wav", spoken), model="sim/text", stream=True)
        ),
    )
    subtitles = called(
        scene,
        lambda client: client.audio.transcriptions.create(
            file=("a.wav", spoken), model="sim/text", response_format="srt"
        ),
    )

    assert heard.text == "This audio lasts 100 seconds."
    deltas = [one.delta for one in words if isinstance(one, TranscriptionTextDeltaEvent)]
    assert "".join(deltas) == heard.text
    assert subtitles == "1\n00:00:00,000 --> 00:01:40,000\nThis audio lasts 100 seconds.\n"
