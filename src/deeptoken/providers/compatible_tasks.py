"""What the hosts of OpenAI's dialect do beside chats, a row each; `compatible.py` has the hosts themselves.

Sources, read 2026-11-25; where it says SDK, the types of the vendor's own:

    openai       SDK openai 3.54: `stream_format` is ``sse`` with newer voices alone
    azure        learn.microsoft.com/azure/foundry/openai/latest: no moderations
    groq         SDK groq 1.7.0
    together     SDK together 3.1.1: width and height apart, ``base64``; no `encoding_format`
    fireworks    docs.fireworks.ai/guides/querying-embeddings-models: a ranking is `data`
    mistral      SDK mistralai 3.7.0: `output_dimension`; its moderations have no verdict; its speech is JSON
    xai          docs.x.ai/developers/model-capabilities/images/generation
    openrouter   SDK openrouter 1.3.84: images at `/images`
    nvidia       docs.api.nvidia.com/nim/reference: embeddings
    zai, zhipu   SDK zai-sdk 0.2.3
    dashscope    alibabacloud.com/help/en/model-studio/embedding-interfaces-compatible-with-openai
    sambanova    SDK sambanova 1.13.0
    deepinfra    deepinfra.com/docs/openai_api
    ollama       docs.ollama.com/api/openai-compatibility
    vllm         docs.vllm.ai/en/latest/serving/online_serving: embeddings, `/v1/rerank`
    lmstudio     lmstudio.ai/docs/developer/openai-compat
    jina         api.jina.ai/redoc: another name of the encoding
    voyage       SDK voyageai 0.5.0: `output_dimension`, `top_k`, a ranking is `data`

Perplexity's embeddings are whole numbers in a form of their own, and are not here.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from deeptoken.wire.embeddings import NAME as EMBEDDINGS
from deeptoken.wire.images import NAME as IMAGES
from deeptoken.wire.moderations import NAME as MODERATIONS
from deeptoken.wire.rerank import NAME as RERANK
from deeptoken.wire.speech import NAME as SPEECH
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TRANSLATIONS


class Taken(msgspec.Struct, frozen=True):
    """How a host takes a task (`openai_tasks.py`), where otherwise than OpenAI."""

    path: str = ""
    """Its own name of it, in the address."""
    renamed: dict[str, str] = {}
    dropped: tuple[str, ...] = ()
    """Parameters that it refuses, and that nobody misses in the answer."""
    tokens: bool = False
    """It embeds tokens, not only texts."""
    sized: bool = False
    """It takes a picture's width and height apart, and calls its data ``base64``."""
    streams: bool = False
    """It shows pictures while they are made."""
    events: bool = False
    """It speaks in events too, and tells its usage in them alone."""
    no_events: tuple[str, ...] = ()
    """How the names of models start that do not."""
    results: str = "results"
    """Where its ranking stands in the answer."""


AS_IT_IS = Taken()
USER = ("user",)
ENCODING = ("encoding_format", *USER)
"""Vectors come as numbers and are made what was asked for."""

HEARD: Mapping[str, Taken] = MappingProxyType({TRANSCRIPTIONS: AS_IT_IS, TRANSLATIONS: AS_IT_IS})
"""Audio."""

TASKS: Mapping[str, Mapping[str, Taken]] = MappingProxyType(
    {
        "openai": {
            EMBEDDINGS: Taken(tokens=True),
            MODERATIONS: AS_IT_IS,
            IMAGES: Taken(streams=True),
            SPEECH: Taken(events=True, no_events=("tts-1",)),
            **HEARD,
        },
        "azure": {EMBEDDINGS: Taken(tokens=True), IMAGES: Taken(streams=True), SPEECH: AS_IT_IS, **HEARD},
        "groq": {EMBEDDINGS: AS_IT_IS, SPEECH: AS_IT_IS, **HEARD},
        "together": {
            EMBEDDINGS: Taken(dropped=ENCODING),
            IMAGES: Taken(dropped=USER, sized=True),
            SPEECH: AS_IT_IS,
            RERANK: AS_IT_IS,
            **HEARD,
        },
        "fireworks": {EMBEDDINGS: AS_IT_IS, RERANK: Taken(results="data")},
        "mistral": {
            EMBEDDINGS: Taken(renamed={"dimensions": "output_dimension"}, dropped=USER),
            MODERATIONS: Taken(dropped=USER),
            TRANSCRIPTIONS: AS_IT_IS,
        },
        "xai": {IMAGES: AS_IT_IS},
        "openrouter": {
            EMBEDDINGS: Taken(tokens=True),
            IMAGES: Taken(path="images"),
            SPEECH: AS_IT_IS,
            RERANK: AS_IT_IS,
            TRANSCRIPTIONS: AS_IT_IS,
        },
        "nvidia": {EMBEDDINGS: AS_IT_IS},
        "zai": {IMAGES: AS_IT_IS},
        "zhipu": {EMBEDDINGS: AS_IT_IS, IMAGES: AS_IT_IS},
        "dashscope": {EMBEDDINGS: AS_IT_IS},
        "sambanova": {EMBEDDINGS: Taken(dropped=USER), **HEARD},
        "deepinfra": {EMBEDDINGS: AS_IT_IS, IMAGES: AS_IT_IS, SPEECH: AS_IT_IS, **HEARD},
        "ollama": {EMBEDDINGS: AS_IT_IS},
        "vllm": {EMBEDDINGS: Taken(tokens=True), RERANK: AS_IT_IS, **HEARD},
        "lmstudio": {EMBEDDINGS: AS_IT_IS},
        "jina": {EMBEDDINGS: Taken(dropped=ENCODING), RERANK: Taken(dropped=USER)},
        "voyage": {
            EMBEDDINGS: Taken(renamed={"dimensions": "output_dimension"}, dropped=ENCODING),
            RERANK: Taken(renamed={"top_n": "top_k"}, dropped=USER, results="data"),
        },
    }
)
"""By the host's name, then by the task's."""
ALL = (EMBEDDINGS, MODERATIONS, IMAGES, SPEECH, RERANK, TRANSCRIPTIONS, TRANSLATIONS)
ANY: Mapping[str, Taken] = MappingProxyType({name: Taken(tokens=True, streams=True) for name in ALL})
"""What a host takes that nobody knows."""


def taken(host: str, task: str) -> Taken | None:
    """How this host takes a task; None: it has none of the kind."""
    return TASKS.get(host, {}).get(task)
