"""Every failure a caller can meet, as one tree. The specification's table of errors, as code.

    DeeptokenError                500  internal_error             platform
    ├── Overloaded                503  overloaded                 platform
    ├── Refused                                                   user      the caller can fix it
    │   ├── BadRequest            400  invalid_request_error
    │   ├── KeyInvalid            401  invalid_api_key
    │   ├── SignInFailed          401  sign_in_failed
    │   ├── SecondFactorRequired  401  second_factor_required
    │   ├── ModelNotAllowed       403  model_not_allowed
    │   ├── AddressNotAllowed     403  ip_not_allowed
    │   ├── PermissionDenied      403  permission_denied
    │   ├── CsrfFailed            403  csrf_failed
    │   ├── AccountSuspended      403  account_suspended
    │   ├── NotAMember            403  not_a_member
    │   ├── OrganizationMismatch  403  org_mismatch
    │   ├── ModelNotFound         404  model_not_found
    │   ├── OrganizationNotFound  404  org_not_found
    │   ├── NotFound              404  not_found
    │   ├── MethodNotAllowed      405  method_not_allowed
    │   ├── RequestTimeout        408  request_timeout
    │   ├── IdempotencyRunning    409  idempotency_in_progress
    │   ├── IdempotencyCompleted  409  idempotency_completed
    │   ├── Conflict              409  conflict
    │   ├── RequestTooLarge       413  request_too_large          (431 for its head)
    │   ├── UnsupportedMedia      415  unsupported_media_type
    │   ├── PreconditionFailed    412  precondition_failed
    │   ├── IdempotencyMismatch   422  idempotency_mismatch
    │   ├── ClientGone            499  client_closed_request      (only in logs and usage rows)
    │   └── UpstreamRefused       4xx  the provider's own code    passed on
    ├── Exhausted                                                 quota     the caller can pay or wait
    │   ├── WalletEmpty           402  wallet_empty
    │   ├── TooManyAttempts       429  too_many_attempts
    │   ├── BudgetExceeded        429  budget_exceeded
    │   └── RateLimited           429  rate_limit_exceeded
    └── UpstreamError             502  upstream_error             upstream  every candidate failed
        ├── UpstreamInvalid       502  upstream_invalid_response
        ├── UpstreamRateLimited   429  upstream_rate_limited
        ├── UpstreamUnavailable   503  upstream_error
        ├── NoChannel             503  no_available_channel
        └── UpstreamTimeout       504  upstream_timeout

A class carries its status, public code and category. `api/errors.py` writes any of them in the
dialect of the caller; nothing else builds an error body. The message says what happened and what to do.
"""

import math
from typing import Any

from deeptoken.money import NanoUsd, credits_json, show


class DeeptokenError(Exception):
    """Our fault. The message is for the caller: never a traceback, never a secret."""

    status = 500
    code = "internal_error"
    category = "platform"

    def __init__(
        self,
        message: str = "Something went wrong on our side. Try again, or tell the operator the id.",
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.fields: list[tuple[bytes, bytes]] = []
        """What else stands in the head of the answer."""

    @property
    def extra(self) -> dict[str, Any]:
        """What stands in ``error.deeptoken``, if anything."""
        return {}

    @property
    def retry_after(self) -> str | None:
        """The header's value: whole seconds, rounded up, at least one."""
        return None if self.retry_after_s is None else str(max(1, math.ceil(self.retry_after_s)))

    @property
    def should_retry(self) -> bool | None:
        """False where an SDK would retry in vain."""
        return False if self.retry_after_s is not None and self.retry_after_s > 60 else None


class Overloaded(DeeptokenError):
    """Load is shed before it hurts."""

    status = 503
    code = "overloaded"

    def __init__(
        self, message: str = "The gateway is busy. Try again shortly.", *, retry_after_s: float = 1
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class Refused(DeeptokenError):
    status = 400
    code = "invalid_request_error"
    category = "user"


class BadRequest(Refused):
    """Malformed JSON, a wrong type or range, a wish that nothing can meet."""


class KeyInvalid(Refused):
    status = 401
    code = "invalid_api_key"


class SignInFailed(Refused):
    """Which of them is wrong is not told."""

    status = 401
    code = "sign_in_failed"

    def __init__(self, message: str = "The user, the password or the code is wrong.") -> None:
        super().__init__(message)


class SecondFactorRequired(Refused):
    """The password is right."""

    status = 401
    code = "second_factor_required"

    def __init__(self) -> None:
        super().__init__("Send the code of your authenticator, or a recovery code, as code.", param="code")


class CsrfFailed(Refused):
    """A browser sent a session's cookie for somebody else's page."""

    status = 403
    code = "csrf_failed"


class ModelNotAllowed(Refused):
    status = 403
    code = "model_not_allowed"


class AddressNotAllowed(Refused):
    status = 403
    code = "ip_not_allowed"


class PermissionDenied(Refused):
    status = 403
    code = "permission_denied"


class AccountSuspended(Refused):
    status = 403
    code = "account_suspended"


class NotAMember(Refused):
    status = 403
    code = "not_a_member"


class OrganizationMismatch(Refused):
    """A key of one organization names another."""

    status = 403
    code = "org_mismatch"


class ModelNotFound(Refused):
    status = 404
    code = "model_not_found"

    def __init__(self, model: str, message: str | None = None) -> None:
        super().__init__(
            message
            or f"The model {model!r} does not exist here, or has no price. "
            "GET /v1/models lists what this key may call.",
            param="model",
        )


class OrganizationNotFound(Refused):
    status = 404
    code = "org_not_found"


class NotFound(Refused):
    status = 404
    code = "not_found"


class MethodNotAllowed(Refused):
    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class RequestTimeout(Refused):
    status = 408
    code = "request_timeout"


class IdempotencyRunning(Refused):
    status = 409
    code = "idempotency_in_progress"

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still running.", retry_after_s=1)


class IdempotencyCompleted(Refused):
    """The answer was delivered and charged, and is not kept."""

    status = 409
    code = "idempotency_completed"

    def __init__(self, *, id: str, charged: NanoUsd) -> None:
        super().__init__(
            f"The request with this Idempotency-Key has ended (id {id}, charged {show(charged)}) and its "
            "answer is not kept. Use another key to ask again."
        )
        self.id = id
        self.charged = charged

    @property
    def extra(self) -> dict[str, Any]:
        return {"id": self.id, "charged": credits_json(self.charged)}

    @property
    def should_retry(self) -> bool | None:
        return False


class Conflict(Refused):
    """What is wanted contradicts what is there."""

    status = 409
    code = "conflict"


class PreconditionFailed(Refused):
    """A change that was made from what is no longer there."""

    status = 412
    code = "precondition_failed"


class RequestTooLarge(Refused):
    status = 413
    code = "request_too_large"


class HeadTooLarge(RequestTooLarge):
    status = 431


class UnsupportedMedia(Refused):
    status = 415
    code = "unsupported_media_type"


class IdempotencyMismatch(Refused):
    status = 422
    code = "idempotency_mismatch"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another request. Use a new key for a new request."
        )


class ClientGone(Refused):
    """The client went away. Only logs and usage rows say so."""

    status = 499
    code = "client_closed_request"

    def __init__(self) -> None:
        super().__init__("The client went away.")


class UpstreamRefused(Refused):
    """The provider's own 4xx about the request, passed on with its status, message and code."""

    def __init__(self, message: str, *, status: int, code: str | None, param: str | None) -> None:
        super().__init__(message, param=param)
        self.status = status
        self.code = code or "invalid_request_error"


class Exhausted(DeeptokenError):
    status = 429
    category = "quota"


class WalletEmpty(Exhausted):
    """The wallet cannot pay the prompt and a first few words of an answer."""

    status = 402
    code = "wallet_empty"

    def __init__(
        self,
        *,
        needed: NanoUsd,
        balance: NanoUsd,
        available: NanoUsd,
        affordable: int,
        in_flight: bool,
        retry_after_s: float | None = None,
    ) -> None:
        if in_flight:
            what = (
                f"This call needs {show(needed)}; the wallet has {show(balance)}, of which {show(available)} "
                "is not held by calls in flight. Try again when they have ended."
            )
        else:
            what = (
                f"This call needs {show(needed)} and the wallet has {show(available)}. "
                "Add credits, or shorten the prompt."
            )
        super().__init__(what, retry_after_s=(retry_after_s or 1) if in_flight else None)
        self.needed = needed
        self.balance = balance
        self.affordable = affordable
        self.in_flight = in_flight

    @property
    def extra(self) -> dict[str, Any]:
        return {
            "reason": "held_by_inflight" if self.in_flight else "insufficient_credit",
            "balance": credits_json(self.balance),
            "needed": credits_json(self.needed),
            "affordable_max_tokens": self.affordable,
        }


class BudgetExceeded(Exhausted):
    """A rolling ceiling is reached. Without a time to wait, no waiting helps."""

    code = "budget_exceeded"

    @property
    def should_retry(self) -> bool | None:
        return False if self.retry_after_s is None else super().should_retry


class RateLimited(Exhausted):
    code = "rate_limit_exceeded"


class TooManyAttempts(Exhausted):
    code = "too_many_attempts"

    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__(
            f"Too many attempts to sign in. The next one is heard in {math.ceil(retry_after_s)} seconds.",
            retry_after_s=retry_after_s,
        )


class UpstreamError(DeeptokenError):
    """The chain of attempts is exhausted; the last provider's answer decides which of these it is."""

    status = 502
    code = "upstream_error"
    category = "upstream"


class UpstreamInvalid(UpstreamError):
    code = "upstream_invalid_response"


class UpstreamRateLimited(UpstreamError):
    status = 429
    code = "upstream_rate_limited"


class UpstreamUnavailable(UpstreamError):
    status = 503


class NoChannel(UpstreamError):
    status = 503
    code = "no_available_channel"


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"
