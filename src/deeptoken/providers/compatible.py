"""The hosts that speak OpenAI's dialect, a row each. `PROVIDERS` has them by name.

Sources, read 2026-11-23; what a page does not say is what its own answers show:

    openai       developers.openai.com/api/docs/api-reference/chat
    azure        learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
    groq         console.groq.com/docs/openai; `max_tokens` there is the old name
    together     docs.together.ai/docs/openai-api-compatibility
    fireworks    docs.fireworks.ai/guides/querying-text-models
    deepseek     api-docs.deepseek.com
    mistral      docs.mistral.ai/api: `random_seed`; it refuses fields that it does not know
    xai          docs.x.ai/docs/key-information/consumption-and-rate-limits: reasoning is counted apart
    openrouter   openrouter.ai/docs/api/reference/overview
    perplexity   docs.perplexity.ai/docs/sonar/openai-compatibility; usage comes with every chunk
    cerebras     inference-docs.cerebras.ai/api-reference/chat-completions
    nvidia       docs.api.nvidia.com/nim/reference/llm-apis
    huggingface  huggingface.co/docs/inference-providers
    ollama       docs.ollama.com/api/openai-compatibility
    vllm         docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    lmstudio     lmstudio.ai/docs/developer/openai-compat
"""

from collections.abc import Mapping
from types import MappingProxyType

from deeptoken.providers.openai import COMPLETION_LIMIT, LIMIT, Host, OpenAI

BOTH = (COMPLETION_LIMIT, LIMIT)

HOSTS = (
    Host("openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", BOTH, own_tiers=False),
    Host("azure", "Azure OpenAI", "", "AZURE_OPENAI_API_KEY", BOTH, own_tiers=False, azure=True),
    Host("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", BOTH),
    Host("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    Host("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    Host("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    Host(
        "mistral",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        stream_options=False,
        renamed={"seed": "random_seed"},
    ),
    Host("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", reasoning_outside=True),
    Host("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    Host("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", stream_options=False),
    Host("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", (COMPLETION_LIMIT,)),
    Host("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    Host("huggingface", "Hugging Face", "https://router.huggingface.co/v1", "HF_TOKEN"),
    Host("ollama", "Ollama", "http://localhost:11434/v1", None),
    Host("vllm", "vLLM", "http://localhost:8000/v1", None, BOTH),
    Host("lmstudio", "LM Studio", "http://localhost:1234/v1", None),
)

PROVIDERS: Mapping[str, OpenAI] = MappingProxyType({host.name: OpenAI(host) for host in HOSTS})
