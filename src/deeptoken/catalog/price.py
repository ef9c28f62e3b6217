"""What a call costs. Whole numbers only; each class is priced once; one rounding a call, up.

charge      what was used, in nano-USD
bound       the most that a prompt and an answer of given sizes can cost, whatever their classes
affordable  the longest answer that an amount pays: the inverse of `bound`
bills       whether a price has what some use is paid by: tokens, or one of its other units

ceil(ratio_ppm * (sum of tokens and other units * pico-USD + pico-USD a call) / 10^9) = nano-USD

`units` of `bound` and `affordable` is what is used besides: images, characters, seconds, searches.
"""

from fractions import Fraction
from hashlib import sha256

import msgspec

from deeptoken.catalog.model import Price, Rates, Tier
from deeptoken.money import NanoUsd
from deeptoken.wire.usage import NOTHING, Usage

DIVISOR = 1_000_000_000
"""Pico-USD times ppm, to nano-USD."""
TOKENS_MAX = 1 << 53
"""What `affordable` answers for an answer that costs nothing: more than any model writes."""


def charge(price: Price, usage: Usage, ratio_ppm: int) -> NanoUsd:
    """The cost of what was used: summed in pico-USD, rounded up once."""
    rates = rates_for(price, usage.prompt_tokens) if price.tiers else price.rates
    pico = rates.request + usage.prompt * rates.prompt + usage.completion * rates.completion
    if usage.cached:
        pico += usage.cached * _or(rates.cached, rates.prompt)
    if usage.cache_write or usage.cache_write_1h:
        write = _or(rates.cache_write, rates.prompt)
        pico += usage.cache_write * write + usage.cache_write_1h * _or(rates.cache_write_1h, write)
    if usage.prompt_audio:
        pico += usage.prompt_audio * _or(rates.prompt_audio, rates.prompt)
    if usage.reasoning:
        pico += usage.reasoning * _or(rates.reasoning, rates.completion)
    if usage.completion_audio:
        pico += usage.completion_audio * _or(rates.completion_audio, rates.completion)
    if usage.completion_image:
        pico += usage.completion_image * _or(rates.completion_image, rates.completion)
    if usage.units:
        pico += _units(rates, usage)
    return NanoUsd(-(-pico * ratio_ppm // DIVISOR))


def bound(
    price: Price, prompt_tokens: int, completion_tokens: int, ratio_ppm: int, units: Usage = NOTHING
) -> NanoUsd:
    """An upper bound of the charge of at most so many tokens, in whichever classes and tier they fall."""
    most = 0
    for fixed, prompt, completion in _dearest(price, prompt_tokens, units):
        cost = fixed + prompt_tokens * prompt + completion_tokens * completion
        most = cost if cost > most else most
    return NanoUsd(-(-most * ratio_ppm // DIVISOR))


def affordable(
    price: Price, prompt_tokens: int, amount: NanoUsd, ratio_ppm: int, units: Usage = NOTHING
) -> int:
    """The longest answer whose `bound`, with that prompt, is within `amount`; -1 if not even none is."""
    most = TOKENS_MAX
    for fixed, prompt, completion in _dearest(price, prompt_tokens, units):
        room = amount * DIVISOR - (fixed + prompt_tokens * prompt) * ratio_ppm
        if room < 0:
            return -1
        each = completion * ratio_ppm
        if each:
            most = min(most, room // each)
    return most


def bills(rates: Rates, used: Usage) -> bool:
    """Whether some of what is `used` has a price: else there is nothing to bill it by."""
    return (
        (rates.by_tokens and bool(used.prompt_tokens or used.completion_tokens))
        or (rates.image is not None and used.images > 0)
        or (rates.character is not None and used.characters > 0)
        or (rates.second is not None and used.seconds > 0)
        or (rates.search is not None and used.searches > 0)
    )


def dearest(price: Price, prompt_tokens: int) -> tuple[int, int]:
    """The dearest prompt and completion token of a call whose prompt has up to so many tokens: pico-USD."""
    if not price.tiers:
        return price.rates.prompt, price.rates.completion
    rates = [price.rates, *(tier.rates for tier in price.tiers if prompt_tokens > tier.above)]
    return max(one.prompt for one in rates), max(one.completion for one in rates)


def rates_for(price: Price, prompt_tokens: int) -> Rates:
    """The rates of the highest tier that a prompt of this size is above."""
    rates = price.rates
    above = -1
    for tier in price.tiers:
        if prompt_tokens > tier.above > above:
            rates, above = tier.rates, tier.above
    return rates


def version(model: str, rates: Rates, tiers: tuple[Tier, ...] = ()) -> int:
    """The id of a price, made from what it says: the same price has the same id in every process.

    63 bits of a SHA-256, so that it fits a bigint.
    """
    said = msgspec.json.encode([model, rates, tiers])
    return int.from_bytes(sha256(said).digest()[:8], "big") >> 1


def ratios(price: Price) -> dict[str, str]:
    """The other form of a price, as exact decimals: `base_model_ratio` is credits a prompt token, the rest
    are multiples of it. A model whose prompt is free has no ratios but that."""
    rates = price.rates
    found = {"base_model_ratio": decimal(Fraction(rates.prompt, 1_000_000))}
    if rates.prompt == 0:
        return found
    classes = {
        "completion_ratio": rates.completion,
        "cached_ratio": rates.cached,
        "cache_write_ratio": rates.cache_write,
        "cache_write_1h_ratio": rates.cache_write_1h,
        "prompt_audio_ratio": rates.prompt_audio,
        "reasoning_ratio": rates.reasoning,
        "completion_audio_ratio": rates.completion_audio,
        "completion_image_ratio": rates.completion_image,
        "image_ratio": rates.image,
        "character_ratio": rates.character,
        "second_ratio": rates.second,
        "search_ratio": rates.search,
        "request_ratio": rates.request or None,
    }
    for name, rate in classes.items():
        if rate is not None:
            found[name] = decimal(Fraction(rate, rates.prompt))
    return found


def decimal(number: Fraction) -> str:
    """A fraction as a decimal with at most six places, the last one rounded to the nearest."""
    scaled = round(number * 1_000_000)
    whole, rest = divmod(scaled, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def _dearest(price: Price, prompt_tokens: int, units: Usage) -> list[tuple[int, int, int]]:
    """For each tier within reach: what is paid whatever the tokens, its dearest class of prompt and of
    completion."""
    if not price.tiers:
        return [_dearest_of(price.rates, units)]
    reachable = [tier.rates for tier in price.tiers if prompt_tokens > tier.above]
    return [_dearest_of(rates, units) for rates in (price.rates, *reachable)]


def _dearest_of(rates: Rates, units: Usage) -> tuple[int, int, int]:
    prompt, completion = rates.prompt, rates.completion
    for rate in (rates.cached, rates.cache_write, rates.cache_write_1h, rates.prompt_audio):
        if rate is not None and rate > prompt:
            prompt = rate
    for rate in (rates.reasoning, rates.completion_audio, rates.completion_image):
        if rate is not None and rate > completion:
            completion = rate
    fixed = rates.request if units is NOTHING else rates.request + _units(rates, units)
    return fixed, prompt, completion


def _units(rates: Rates, usage: Usage) -> int:
    """What is no token, in pico-USD. A unit without a price is paid by something else."""
    return (
        usage.images * (rates.image or 0)
        + usage.characters * (rates.character or 0)
        + usage.seconds * (rates.second or 0)
        + usage.searches * (rates.search or 0)
    )


def _or(rate: int | None, base: int) -> int:
    return base if rate is None else rate
