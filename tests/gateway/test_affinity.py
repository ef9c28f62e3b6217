"""Conversations return to the channel that served them, for a while."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeptoken.gateway.affinity import END, LASTS_S, Affinity, conversation
from deeptoken.wire.chat import read

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000}}


def key(*messages: tuple[str, object], owner: str = "user:ops", model: str = "m", **fields: object) -> int:
    said = [{"role": role, "content": content} for role, content in messages]
    return conversation(owner, model, read(msgspec.json.encode({"model": model, "messages": said, **fields})))


SYSTEM, FIRST, ANSWER, SECOND = (
    ("system", "Be short."),
    ("user", "Hello!"),
    ("assistant", "Hi."),
    ("user", "And now?"),
)


def test_every_turn_of_a_conversation_has_the_same_key() -> None:
    assert key(SYSTEM, FIRST) == key(SYSTEM, FIRST, ANSWER, SECOND)
    assert key(FIRST) == key(FIRST, ANSWER, SECOND, temperature=0.5)
    assert key(("developer", "x"), FIRST) == key(("developer", "x"), FIRST, ("system", "y"))
    assert key(SYSTEM, ("system", "x"), FIRST) == key(SYSTEM, ("system", "y"), FIRST)


LONG = "x" * 10 * END


@pytest.mark.parametrize(
    "other",
    [
        key(SYSTEM, SECOND),
        key(("system", "Be long."), FIRST),
        key(FIRST),
        key(SYSTEM, FIRST, owner="user:bob"),
        key(SYSTEM, FIRST, model="other"),
        key(SYSTEM, FIRST, prompt_cache_key="k"),
        key(SYSTEM, ("user", [{"type": "text", "text": "Hello!"}, IMAGE])),
    ],
    ids=("user", "system", "none", "owner", "model", "label", "parts"),
)
def test_another_beginning_owner_or_model_is_another_conversation(other: int) -> None:
    assert other != key(SYSTEM, FIRST)


def test_long_beginnings_are_told_apart_at_their_start_and_end() -> None:
    texts = [LONG, f"{LONG}y", f"y{LONG}", f"y{LONG[1:]}", f"{LONG[1:]}y"]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in texts]

    assert len({key(("user", text)) for text in texts}) == len(texts)
    assert len({key(("user", [image])) for image in images}) == len(images)
    assert key(("user", LONG), ANSWER) == key(("user", LONG))


def test_a_prompt_cache_key_stands_above_the_beginning() -> None:
    assert key(FIRST, prompt_cache_key="k") == key(SYSTEM, SECOND, prompt_cache_key="k")
    assert key(FIRST, prompt_cache_key="k") != key(FIRST, prompt_cache_key="l")
    assert key(FIRST, prompt_cache_key="k") != key(FIRST, prompt_cache_key="k", owner="user:bob")
    assert key(FIRST, prompt_cache_key="") == key(FIRST, prompt_cache_key=7) == key(FIRST)


def test_a_channel_is_remembered_for_ten_minutes_after_it_last_served() -> None:
    affinity = Affinity()

    affinity.remember(1, "a", 0.0)
    affinity.remember(1, "b", 300.0)

    assert affinity.served(1, 300.0 + LASTS_S - 0.1) == "b"
    assert affinity.served(1, 300.0 + LASTS_S) is None
    assert affinity.served(2, 300.0) is None


def test_what_was_served_longest_ago_is_forgotten_first() -> None:
    affinity = Affinity(conversations_max=2)

    affinity.remember(1, "a", 1.0)
    affinity.remember(2, "b", 2.0)
    affinity.remember(1, "a", 3.0)
    affinity.remember(3, "c", 4.0)

    assert [affinity.served(number, 4.0) for number in (1, 2, 3)] == ["a", None, "c"]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.floats(0, 5)), max_size=80),
    st.integers(1, 8),
)
def test_the_memory_is_bounded_and_says_what_was_said_last(
    served: list[tuple[int, str, float]], most: int
) -> None:
    affinity = Affinity(conversations_max=most, lasts_s=10)
    last: dict[int, tuple[str, float]] = {}
    now = 0.0

    for number, channel, pause in served:
        now += pause
        affinity.remember(number, channel, now)
        last[number] = channel, now

    assert len(affinity) <= most
    recent = list(dict.fromkeys(number for number, _, _ in reversed(served)))
    for number, (channel, at) in last.items():
        known = number in recent[:most] and at + 10 > now
        assert affinity.served(number, now) == (channel if known else None)


def test_what_has_passed_makes_room_before_the_memory_is_full() -> None:
    affinity = Affinity(lasts_s=10)

    for number in range(100):
        affinity.remember(number, "a", float(number))

    assert len(affinity) <= 12
