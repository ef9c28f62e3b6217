"""What providers may answer, in the words of each wire format.

`whole` and `streamed` write what is to be said; `lacks` names what this format has no words for.
"""

import json
from typing import Any, NamedTuple

import aws_frames

Object = dict[str, Any]
END, LENGTH, CALLED, FILTERED = "stop", "length", "tool_calls", "content_filter"


class Call(NamedTuple):
    id: str
    name: str
    arguments: Object


class Said(NamedTuple):
    """An answer. Counts are tokens: of 20 in the prompt some came from the cache, some went there."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = ""
    signature: str = ""
    finish: str = END
    cached: int = 0
    written: int = 0
    reasoned: int = 0
    refusal: str = ""
    logprobs: bool = False


PROMPT, COMPLETION = 20, 9


def data(*lines: Object | str) -> bytes:
    told = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    return "".join(f"data: {line}\n\n" for line in told).encode()


def halves(call: Call) -> tuple[str, str]:
    told = json.dumps(call.arguments)
    return told[: len(told) // 2], told[len(told) // 2 :]


class OpenAI:
    """The dialect of OpenAI and of those who follow it."""

    lacks = frozenset({"signature", "written"})

    def __init__(self, reasoning: str = "reasoning_content") -> None:
        self.reasoning = reasoning

    def whole(self, said: Said) -> bytes:
        message: Object = {
            "role": "assistant",
            "content": self.content(said),
            "refusal": said.refusal or None,
        }
        if said.thought and self.reasoning:
            message[self.reasoning] = said.thought
        if said.calls:
            message["tool_calls"] = [self.call(call, json.dumps(call.arguments)) for call in said.calls]
        told = [{"token": said.text, "logprob": -0.5, "bytes": None, "top_logprobs": []}]
        choice = {"index": 0, "message": message, "finish_reason": said.finish}
        choice["logprobs"] = {"content": told, "refusal": None} if said.logprobs else None
        return json.dumps(
            {**self.head("chat.completion"), "choices": [choice], "usage": self.usage(said)}
        ).encode()

    def streamed(self, said: Said) -> bytes:
        deltas: list[Object] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in said.text.split(" ")]
        for index, call in enumerate(said.calls):
            deltas.append({"tool_calls": [{"index": index, **self.call(call, "")}]})
        for place in (0, 1):
            for index, call in enumerate(said.calls):
                function = {"arguments": halves(call)[place]}
                deltas.append({"tool_calls": [{"index": index, "function": function}]})
        choices: list[Object] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": said.finish})
        head = self.head("chat.completion.chunk")
        chunks: list[Object] = [{**head, "choices": [choice]} for choice in choices]
        return data(*chunks, {**head, "choices": [], "usage": self.usage(said)}, "[DONE]")

    def content(self, said: Said) -> Any:
        return said.text or None

    def head(self, kind: str) -> Object:
        return {"id": "upstream-1", "object": kind, "created": 1, "model": "hidden"}

    def call(self, call: Call, arguments: str) -> Object:
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}

    def usage(self, said: Said) -> Object:
        return {
            "prompt_tokens": PROMPT,
            "completion_tokens": COMPLETION,
            "total_tokens": PROMPT + COMPLETION,
            "prompt_tokens_details": {"cached_tokens": said.cached},
            "completion_tokens_details": {"reasoning_tokens": said.reasoned},
        }


class Mistral(OpenAI):
    """Content in parts, thinking among them."""

    lacks = frozenset({"written", "refusal", "logprobs", "reasoned"})

    def __init__(self) -> None:
        super().__init__(reasoning="")

    def content(self, said: Said) -> Any:
        if not said.thought:
            return said.text
        thought: Object = {"type": "thinking", "thinking": [{"type": "text", "text": said.thought}]}
        if said.signature:
            thought["signature"] = said.signature
        return [thought, {"type": "text", "text": said.text}]


class Anthropic:
    lacks = frozenset({"logprobs"})
    reasons = {END: "end_turn", LENGTH: "max_tokens", CALLED: "tool_use", FILTERED: "refusal"}

    def whole(self, said: Said) -> bytes:
        blocks: list[Object] = []
        if said.thought:
            blocks.append({"type": "thinking", "thinking": said.thought, "signature": said.signature})
        if text := said.text or said.refusal:
            blocks.append({"type": "text", "text": text})
        blocks += [self.call(call, call.arguments) for call in said.calls]
        return json.dumps(self.message(blocks, self.reason(said), self.usage(said))).encode()

    def streamed(self, said: Said) -> bytes:
        events: list[Object] = [
            {"type": "message_start", "message": self.message([], None, self.usage(said))}
        ]
        blocks: list[tuple[Object, list[Object]]] = []
        if said.text:
            words = [{"type": "text_delta", "text": word} for word in said.text.split(" ")]
            blocks.append(({"type": "text", "text": ""}, words))
        for call in said.calls:
            parts = [{"type": "input_json_delta", "partial_json": part} for part in halves(call)]
            blocks.append((self.call(call, {}), parts))
        for index, (begin, deltas) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": begin})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": self.reason(said), "stop_sequence": None}
        events += [
            {"type": "message_delta", "delta": delta, "usage": {"output_tokens": COMPLETION}},
            {"type": "message_stop"},
        ]
        return b"".join(b"event: %b\n" % event["type"].encode() + data(event) for event in events)

    def reason(self, said: Said) -> str:
        return self.reasons[FILTERED if said.refusal else said.finish]

    def call(self, call: Call, given: Object) -> Object:
        return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}

    def message(self, blocks: list[Object], reason: str | None, usage: Object) -> Object:
        head = {"id": "upstream-1", "type": "message", "role": "assistant", "model": "hidden"}
        return {**head, "content": blocks, "stop_reason": reason, "stop_sequence": None, "usage": usage}

    def usage(self, said: Said) -> Object:
        told: Object = {
            "input_tokens": PROMPT - said.cached - said.written,
            "cache_read_input_tokens": said.cached,
            "cache_creation_input_tokens": said.written,
            "output_tokens": COMPLETION,
        }
        return told | ({"output_tokens_details": {"thinking_tokens": said.reasoned}} if said.reasoned else {})


class Gemini:
    lacks = frozenset({"written", "refusal"})
    reasons = {END: "STOP", LENGTH: "MAX_TOKENS", CALLED: "STOP", FILTERED: "SAFETY"}

    def whole(self, said: Said) -> bytes:
        return json.dumps(self.told(said, self.parts(said), self.reasons[said.finish])).encode()

    def streamed(self, said: Said) -> bytes:
        words = [[{"text": word}] for word in said.text.split(" ")] if said.text else []
        calls = [[part] for part in self.parts(said._replace(text=""))]
        pieces = [*words, *calls]
        return data(
            *(self.told(said, parts, None) for parts in pieces[:-1]),
            self.told(said, pieces[-1], self.reasons[said.finish]),
        )

    def parts(self, said: Said) -> list[Object]:
        parts: list[Object] = []
        if said.thought:
            parts.append({"text": said.thought, "thought": True})
        if said.text:
            signed = {"thoughtSignature": said.signature} if said.signature else {}
            parts.append({"text": said.text, **signed})
        for call in said.calls:
            parts.append({"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}})
        return parts

    def told(self, said: Said, parts: list[Object], reason: str | None) -> Object:
        choice: Object = {"index": 0, "content": {"role": "model", "parts": parts}}
        if reason:
            choice["finishReason"] = reason
        if said.logprobs:
            choice["logprobsResult"] = {"chosenCandidates": [{"token": said.text, "logProbability": -0.5}]}
        counts = {
            "promptTokenCount": PROMPT,
            "candidatesTokenCount": COMPLETION - said.reasoned,
            "thoughtsTokenCount": said.reasoned,
            "cachedContentTokenCount": said.cached,
            "totalTokenCount": PROMPT + COMPLETION,
        }
        return {"candidates": [choice], "usageMetadata": counts, "responseId": "upstream-1"}


class Bedrock:
    """Converse, which tells neither tokens of reasoning nor an id in its body."""

    lacks = frozenset({"logprobs", "reasoned", "refusal", "id"})
    reasons = {END: "end_turn", LENGTH: "max_tokens", CALLED: "tool_use", FILTERED: "content_filtered"}

    def whole(self, said: Said) -> bytes:
        blocks: list[Object] = []
        if said.thought:
            signed = {"text": said.thought, "signature": said.signature}
            blocks.append({"reasoningContent": {"reasoningText": signed}})
        if said.text:
            blocks.append({"text": said.text})
        for call in said.calls:
            blocks.append({"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}})
        output = {"message": {"role": "assistant", "content": blocks}}
        told = {"output": output, "stopReason": self.reasons[said.finish], "usage": self.usage(said)}
        return json.dumps(told).encode()

    def streamed(self, said: Said) -> bytes:
        blocks: list[tuple[Object, list[Object]]] = []
        if said.text:
            blocks.append(({}, [{"text": word} for word in said.text.split(" ")]))
        for call in said.calls:
            begin = {"toolUse": {"toolUseId": call.id, "name": call.name}}
            blocks.append((begin, [{"toolUse": {"input": part}} for part in halves(call)]))
        frames = [aws_frames.event("messageStart", role="assistant")]
        for index, (begin, deltas) in enumerate(blocks):
            if begin:
                frames.append(aws_frames.event("contentBlockStart", contentBlockIndex=index, start=begin))
            frames += [
                aws_frames.event("contentBlockDelta", contentBlockIndex=index, delta=delta)
                for delta in deltas
            ]
            frames.append(aws_frames.event("contentBlockStop", contentBlockIndex=index))
        frames.append(aws_frames.event("messageStop", stopReason=self.reasons[said.finish]))
        frames.append(aws_frames.event("metadata", usage=self.usage(said)))
        return b"".join(frames)

    def usage(self, said: Said) -> Object:
        return {
            "inputTokens": PROMPT - said.cached - said.written,
            "outputTokens": COMPLETION,
            "totalTokens": PROMPT + COMPLETION,
            "cacheReadInputTokens": said.cached,
            "cacheWriteInputTokens": said.written,
        }


class Cohere:
    """Version 2; its models sign nothing, and filter before they answer."""

    lacks = frozenset({"signature", "written", "reasoned", "refusal", FILTERED})
    reasons = {END: "COMPLETE", LENGTH: "MAX_TOKENS", CALLED: "TOOL_CALL"}

    def whole(self, said: Said) -> bytes:
        parts: list[Object] = []
        if said.thought:
            parts.append({"type": "thinking", "thinking": said.thought})
        if said.text:
            parts.append({"type": "text", "text": said.text})
        message: Object = {"role": "assistant", "content": parts}
        if said.calls:
            message["tool_calls"] = [self.call(call, json.dumps(call.arguments)) for call in said.calls]
        told: Object = {"id": "upstream-1", "message": message, "finish_reason": self.reasons[said.finish]}
        if said.logprobs:
            told["logprobs"] = [{"text": said.text, "token_ids": [1], "logprobs": [-0.5]}]
        return json.dumps({**told, "usage": self.usage(said)}).encode()

    def streamed(self, said: Said) -> bytes:
        events: list[Object] = [
            {"type": "message-start", "id": "upstream-1", "delta": {"message": {"role": "assistant"}}}
        ]
        if said.text:
            events.append(self.event("content-start", 0, content={"type": "text", "text": ""}))
            events += [
                self.event("content-delta", 0, content={"text": word}) for word in said.text.split(" ")
            ]
            events.append({"type": "content-end", "index": 0})
        for index, call in enumerate(said.calls):
            events.append(self.event("tool-call-start", index, tool_calls=self.call(call, "")))
            for part in halves(call):
                delta = {"function": {"arguments": part}}
                events.append(self.event("tool-call-delta", index, tool_calls=delta))
            events.append({"type": "tool-call-end", "index": index})
        end = {"finish_reason": self.reasons[said.finish], "usage": self.usage(said)}
        return data(*events, {"type": "message-end", "delta": end}, "[DONE]")

    def event(self, kind: str, index: int, **message: Any) -> Object:
        return {"type": kind, "index": index, "delta": {"message": message}}

    def call(self, call: Call, arguments: str) -> Object:
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}

    def usage(self, said: Said) -> Object:
        return {
            "billed_units": {"input_tokens": PROMPT, "output_tokens": COMPLETION},
            "tokens": {"input_tokens": PROMPT, "output_tokens": COMPLETION},
            "cached_tokens": said.cached,
        }


Wire = OpenAI | Anthropic | Gemini | Bedrock | Cohere
