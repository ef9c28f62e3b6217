"""Conversations as a Claude client may have them, drawn at random."""

import base64
from typing import Any

from hypothesis import strategies as st

Block = dict[str, Any]

LETTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029")
words = st.text(LETTERS, min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
marks = st.fixed_dictionaries(
    {},
    optional={
        "cache_control": st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}]),
    },
)
base64s = st.binary(min_size=1, max_size=6).map(lambda data: base64.b64encode(data).decode())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
inputs = st.dictionaries(words, values, max_size=3)


def marked(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Block]:
    return st.builds(lambda block, mark: block | mark, st.fixed_dictionaries(fields), marks)


texts = marked(type=st.just("text"), text=words)
png_or_webp = st.sampled_from(["image/png", "image/webp"])
sources = st.fixed_dictionaries(
    {"type": st.just("base64"), "media_type": png_or_webp, "data": base64s}
) | st.fixed_dictionaries({"type": st.just("url"), "url": st.just("https://x.example/a.png")})
images = marked(type=st.just("image"), source=sources)
a_few_texts = st.lists(texts, min_size=1, max_size=2)
files = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("base64"), "media_type": st.just("application/pdf"), "data": base64s}
    ),
    st.fixed_dictionaries({"type": st.just("text"), "media_type": st.just("text/plain"), "data": words}),
    st.fixed_dictionaries({"type": st.just("url"), "url": st.just("https://x.example/a.pdf")}),
    st.fixed_dictionaries({"type": st.just("content"), "content": a_few_texts}),
)
documents = st.builds(
    lambda block, title, beside: block | title | beside,
    marked(type=st.just("document"), source=files),
    st.just({}) | words.map(lambda title: {"title": title}),
    st.just({}) | st.just({"citations": {"enabled": True}, "context": "c"}),
)
search_results = marked(type=st.just("search_result"), source=words, title=words, content=a_few_texts)
shown = st.lists(texts | images | documents | search_results, min_size=1, max_size=3)
thoughts = st.fixed_dictionaries(
    {"type": st.just("thinking"), "thinking": st.text(max_size=9), "signature": base64s}
) | st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": base64s})
"""Signed by Claude, shown or not."""
names = st.sampled_from(["add", "look-up", "x_1"])


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Whole turns: each call of a tool has its result, thoughts stand anywhere, texts before calls."""
    told: list[dict[str, Any]] = [{"role": "user", "content": draw(shown)}]
    for number in range(draw(st.integers(0, 3))):
        calls = draw(st.lists(marked(name=names, input=inputs), max_size=3))
        said: list[Block] = draw(st.lists(texts, max_size=2))
        for i, call in enumerate(calls):
            said.append({"type": "tool_use", "id": f"toolu_{number}_{i}", **call})
        if not said:
            said = [{"type": "text", "text": "Yes."}]
        for thought in draw(st.lists(thoughts, max_size=2)):
            said.insert(draw(st.integers(0, len(said) - 1)), thought)
        told.append({"role": "assistant", "content": said})
        results = [draw(result(f"toolu_{number}_{i}")) for i in range(len(calls))]
        rest = draw(shown) if not results or draw(st.booleans()) else []
        told.append({"role": "user", "content": results + rest})
    return told


@st.composite
def result(draw: st.DrawFn, id: str) -> Block:
    """The result of one call, in each of its forms."""
    block: Block = draw(marked(type=st.just("tool_result"), tool_use_id=st.just(id)))
    if draw(st.booleans()):
        block = block | {"content": draw(words | shown)}
    return block | ({"is_error": True} if draw(st.booleans()) else {})


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
tools = st.lists(
    st.builds(
        lambda tool, mark: tool | mark,
        st.fixed_dictionaries(
            {
                "name": names,
                "input_schema": st.just(
                    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
                ),
            },
            optional={"description": words, "eager_input_streaming": st.just(True)},
        ),
        marks,
    ),
    min_size=1,
    max_size=2,
)
choices = st.sampled_from(
    [
        {"type": "auto"},
        {"type": "any", "disable_parallel_tool_use": True},
        {"type": "tool", "name": "add"},
        {"type": "none"},
    ]
)


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """The body of a call, as a model before Claude 4.6 takes it."""
    body = draw(
        st.fixed_dictionaries(
            {"model": st.just("acme/claude"), "max_tokens": st.integers(3000, 9000), "messages": turns()},
            optional={
                "system": st.lists(texts, min_size=1, max_size=2),
                "stop_sequences": st.lists(words, min_size=1, max_size=6),
                "metadata": st.just({"user_id": "u-1"}),
                "service_tier": st.sampled_from(["auto", "standard_only"]),
                "cache_control": st.just({"type": "ephemeral"}),
                "output_config": st.sampled_from(
                    [{"effort": "low"}, {"format": {"type": "json_schema", "schema": {"type": "string"}}}]
                ),
            },
        )
    )
    if draw(st.booleans()):
        body |= {"tools": draw(tools)}
        body |= draw(st.fixed_dictionaries({}, optional={"tool_choice": choices}))
    if draw(st.booleans()):
        body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    else:
        body |= draw(st.sampled_from([{}, {"temperature": 0.5, "top_k": 3}, {"top_p": 0.5}]))
    return body
