"""What went wrong between us and a provider, as a failure."""

import msgspec

from deeptoken.gateway.failure import invalid
from deeptoken.net import Lost, NetError, Stalled, TooLarge, Unreachable
from deeptoken.providers.base import Failure, Malformed


def failed(error: NetError | Malformed) -> Failure:
    match error:
        case Unreachable():
            return Failure(cause="connect", message="The provider could not be reached.")
        case Stalled():
            return Failure(cause="slow", message="The provider did not answer in time.")
        case TooLarge():
            return msgspec.structs.replace(invalid("it is larger than the limit"), lasting=True)
        case Lost():
            return Failure(cause="outage", message="The connection to the provider broke.")
    return invalid(str(error) or "it is not HTTP")
