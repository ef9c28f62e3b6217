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

Who has the other dialects, read 2026-11-25:

    responses    learn.microsoft.com/azure/foundry/openai/how-to/responses: the v1 API; xAI, where chat is
                 deprecated (docs.x.ai/developers/model-capabilities/text/comparison); OpenRouter, stateless
                 (openrouter.ai/docs/api/reference/responses/overview). Groq's and Hugging Face's are betas,
                 Fireworks' stores by default, Ollama's, vLLM's and LM Studio's depend on their version:
                 a chat loses less there
    completions  docs.together.ai/reference/completions, openrouter.ai/docs/api-reference/completion,
                 docs.fireworks.ai/guides/querying-text-models, Cerebras' own SDK, and the pages above
    reasoning    api-docs.deepseek.com/guides/thinking_mode wants it back after tool calls; OpenRouter and
                 Fireworks take it
"""

from collections.abc import Mapping
from types import MappingProxyType

from deeptoken.providers.openai import COMPLETION_LIMIT, LIMIT, Host, OpenAI

BOTH = (COMPLETION_LIMIT, LIMIT)
INSTRUCT = r"(?:.*/)?(?:gpt-3\.5-turbo-instruct|davinci-002|babbage-002).*"
"""The models that OpenAI serves at `/completions`, and at no other address."""
ANY = r".*"

HOSTS = (
    Host(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        BOTH,
        own_tiers=False,
        responses=True,
        completions=INSTRUCT,
        hints=True,
    ),
    Host(
        "azure",
        "Azure OpenAI",
        "",
        "AZURE_OPENAI_API_KEY",
        BOTH,
        own_tiers=False,
        azure=True,
        responses=True,
        completions=INSTRUCT,
        hints=True,
    ),
    Host("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", BOTH),
    Host("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY", completions=ANY),
    Host(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        completions=ANY,
        reasoning_back=True,
    ),
    Host("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", reasoning_back=True),
    Host(
        "mistral",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        stream_options=False,
        renamed={"seed": "random_seed"},
    ),
    Host("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", reasoning_outside=True, responses=True),
    Host(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        responses=True,
        completions=ANY,
        reasoning_back=True,
        hints=True,
    ),
    Host("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", stream_options=False),
    Host(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        (COMPLETION_LIMIT,),
        completions=ANY,
    ),
    Host("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    Host("huggingface", "Hugging Face", "https://router.huggingface.co/v1", "HF_TOKEN"),
    Host("ollama", "Ollama", "http://localhost:11434/v1", None, completions=ANY),
    Host("vllm", "vLLM", "http://localhost:8000/v1", None, BOTH, completions=ANY),
    Host("lmstudio", "LM Studio", "http://localhost:1234/v1", None, completions=ANY),
)

PROVIDERS: Mapping[str, OpenAI] = MappingProxyType({host.name: OpenAI(host) for host in HOSTS})
