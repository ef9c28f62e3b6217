"""The hosts that speak OpenAI's dialect, a row each. `PROVIDERS` has them by name.

Sources, read 2026-11-25; where it says SDK, the types of the vendor's own; what a page does not say is what
its own answers show:

    openai       developers.openai.com/api/docs/api-reference/chat
    azure        learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
    groq         SDK groq 1.7.0: no `stream_options` (its usage comes unasked, in `x_groq`); what it does not
                 know it refuses, also in messages
    together     docs.together.ai/docs/openai-api-compatibility, SDK together: temperature 0..1
    fireworks    docs.fireworks.ai/guides/reasoning, SDK fireworks-ai 1.2: no `stream_options`; what it
                 does not know it refuses
    deepseek     api-docs.deepseek.com/guides/thinking_mode: its reasoning must go back with tool calls;
                 `developer` is refused
    mistral      SDK mistralai 3.7.0: `random_seed`, content in parts; what it does not know it refuses, also
                 in messages
    xai          docs.x.ai/docs/key-information/consumption-and-rate-limits: reasoning is counted apart
    openrouter   openrouter.ai/docs/api/reference/overview, SDK openrouter 1.3: `reasoning`,
                 `reasoning_details`
    perplexity   docs.perplexity.ai/docs/sonar/openai-compatibility, SDK perplexityai 0.46: usage comes with
                 every chunk, research counts what it read and thought apart; roles must alternate
    cerebras     inference-docs.cerebras.ai/api-reference/chat-completions, SDK cerebras_cloud_sdk 1.91.0
    nvidia       docs.api.nvidia.com/nim/reference/llm-apis
    huggingface  huggingface.co/docs/inference-providers
    moonshot     platform.kimi.ai/docs/api/chat: temperature 0..1; its reasoning must go back with tool calls
    zai          docs.z.ai/api-reference/llm/chat-completion, SDK zai-sdk 0.2.3: temperature 0..1, no
                 `tool_choice` but auto
    zhipu        docs.bigmodel.cn: the same models and API in China
    dashscope    alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope: Qwen
    minimax      platform.minimax.io/docs/api-reference/text-openai-api: temperature up to 1
    novita       novita.ai/docs/guides/llm-api
    sambanova    SDK sambanova 1.13: `reasoning`
    deepinfra    deepinfra.com/docs/openai_api: `developer` is refused
    ollama       docs.ollama.com/api/openai-compatibility: `reasoning`
    vllm         docs.vllm.ai/en/latest/serving/openai_compatible_server.html, its issues 27755 and 38488: it
                 writes `reasoning`, and reads nothing else
    lmstudio     lmstudio.ai/docs/developer/openai-compat

What a host does beside chats stands in `compatible_tasks.py`; some have no chats at all.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from deeptoken.providers.host import COMPLETION_LIMIT, LIMIT, Host
from deeptoken.providers.manners import NOWHERE, PARTS, Manners
from deeptoken.providers.openai import OpenAI

BOTH = (COMPLETION_LIMIT, LIMIT)
LABELS = ("safety_identifier", "prompt_cache_retention", "verbosity")
"""OpenAI's newest parameters, which change no meaning; a host that checks its fields refuses them."""
OPENAIS = Manners(developer=True, reasoning=NOWHERE)
"""OpenAI's chat takes no reasoning back."""
REASONED = Manners(reasoned_calls=True)

HOSTS = (
    Host(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        BOTH,
        manners=OPENAIS,
        stands_for_others=True,
        own_tiers=False,
    ),
    Host(
        "azure",
        "Azure OpenAI",
        "",
        "AZURE_OPENAI_API_KEY",
        BOTH,
        manners=OPENAIS,
        own_tiers=False,
        azure=True,
    ),
    Host(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        BOTH,
        stream_options=False,
        dropped=("logit_bias", "prediction", "prompt_cache_key", *LABELS),
        manners=Manners(
            developer=True, reasoning="reasoning", reasoners=re.compile(r"gpt-oss|qwen"), strict=True
        ),
    ),
    Host("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY", temperature_max=1.0),
    Host(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        BOTH,
        stream_options=False,
        dropped=("store", *LABELS),
        manners=Manners(strict=True),
    ),
    Host("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", manners=REASONED),
    Host(
        "mistral",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        stream_options=False,
        renamed={"seed": "random_seed"},
        dropped=("logit_bias", "store", "user", "service_tier", "prompt_cache_key", *LABELS),
        temperature_max=1.5,
        manners=Manners(reasoning=PARTS, strict=True),
    ),
    Host("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", reasoning_outside=True),
    Host(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        manners=Manners(developer=True, reasoning="reasoning"),
    ),
    Host(
        "perplexity",
        "Perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        stream_options=False,
        manners=Manners(reasoning=NOWHERE, alternating=True),
        counts_beside=True,
    ),
    Host(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        (COMPLETION_LIMIT,),
        dropped=("store", "metadata", *LABELS),
        manners=Manners(developer=True, reasoning="reasoning", strict=True),
    ),
    Host("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    Host("huggingface", "Hugging Face", "https://router.huggingface.co/v1", "HF_TOKEN"),
    Host(
        "moonshot",
        "Moonshot AI",
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
        temperature_max=1.0,
        manners=REASONED,
    ),
    Host(
        "zai",
        "Z.AI",
        "https://api.z.ai/api/paas/v4",
        "ZAI_API_KEY",
        stream_options=False,
        temperature_max=1.0,
        forces_tools=False,
    ),
    Host(
        "zhipu",
        "Zhipu AI",
        "https://open.bigmodel.cn/api/paas/v4",
        "ZHIPUAI_API_KEY",
        stream_options=False,
        temperature_max=1.0,
        forces_tools=False,
    ),
    Host(
        "dashscope",
        "Alibaba Cloud",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
    ),
    Host("minimax", "MiniMax", "https://api.minimax.io/v1", "MINIMAX_API_KEY", BOTH, temperature_max=1.0),
    Host("novita", "Novita AI", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    Host(
        "sambanova",
        "SambaNova",
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
        BOTH,
        manners=Manners(reasoning="reasoning"),
    ),
    Host("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    Host("ollama", "Ollama", "http://localhost:11434/v1", None, manners=Manners(reasoning="reasoning")),
    Host("vllm", "vLLM", "http://localhost:8000/v1", None, BOTH, manners=Manners(reasoning="reasoning")),
    Host("lmstudio", "LM Studio", "http://localhost:1234/v1", None),
)
WITHOUT_CHATS = (
    Host("jina", "Jina AI", "https://api.jina.ai/v1", "JINA_API_KEY", chats=False),
    Host("voyage", "Voyage AI", "https://api.voyageai.com/v1", "VOYAGE_API_KEY", chats=False),
)
ALL = (*HOSTS, *WITHOUT_CHATS)

PROVIDERS: Mapping[str, OpenAI] = MappingProxyType({host.name: OpenAI(host) for host in ALL})
