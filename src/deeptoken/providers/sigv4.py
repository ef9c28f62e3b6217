"""AWS's signature, version 4. Pure: the time is given.

    ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]    signs
    a Bedrock API key, which has no colon              is sent as it is, by the adapter itself

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, read 2026-11-25.
The path is escaped once more in what is signed, as for every service but S3.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from deeptoken.wire.http import HttpRequest, Unsendable

SERVICE = "bedrock"
ALGORITHM = "AWS4-HMAC-SHA256"
PORTS = {"http": 80, "https": 443}
REGION_IN_HOST = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


class Credentials(msgspec.Struct, frozen=True):
    key_id: str
    secret_key: str
    session_token: str = ""


def sign(request: HttpRequest, secret: str, options: Mapping[str, object], now_s: int) -> HttpRequest:
    """The request as AWS wants it at `now_s`, seconds since 1970. An API key needs no signature.

    Raises:
        Unsendable: the secret is no pair of keys, or nothing tells the region. The message has none of it.
    """
    if ":" not in secret:
        return request
    return signed(
        request, credentials(secret), region=region_of(request.url, options), service=SERVICE, now_s=now_s
    )


def credentials(secret: str) -> Credentials:
    parts = secret.split(":", 2)
    if len(parts) < 2 or not all(parts):
        raise Unsendable("The credential is not ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN].")
    return Credentials(*parts)


def region_of(url: str, options: Mapping[str, object]) -> str:
    """The channel's option `region`, else what the host of Bedrock says: ``us-east-1``."""
    told = options.get("region")
    if isinstance(told, str) and told:
        return told
    found = REGION_IN_HOST.search(urlsplit(url).hostname or "")
    if found is None:
        raise Unsendable("Nothing tells the region: set the channel's region.")
    return found[1]


def signed(request: HttpRequest, keys: Credentials, *, region: str, service: str, now_s: int) -> HttpRequest:
    """The request with its time, its token and its signature over these, the host and its own headers."""
    time = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    headers = (*request.headers, ("x-amz-date", time))
    if keys.session_token:
        headers += (("x-amz-security-token", keys.session_token),)
    written, names = _canonical(request, headers)
    said = "\n".join((ALGORITHM, time, scope, hashlib.sha256(written.encode()).hexdigest()))
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    authorization = (
        f"{ALGORITHM} Credential={keys.key_id}/{scope}, SignedHeaders={names}, "
        f"Signature={_hmac(key, said).hex()}"
    )
    return msgspec.structs.replace(request, headers=(*headers, ("authorization", authorization)))


def _canonical(request: HttpRequest, headers: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """The request as both sides write it down, and the names of the headers in it."""
    url = urlsplit(request.url)
    values: dict[str, list[str]] = {}
    for name, value in (("host", host_signed(url)), *headers):
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    lines = [f"{name}:{','.join(values[name])}" for name in sorted(values)]
    names = ";".join(sorted(values))
    pairs = sorted(part.partition("=")[::2] for part in url.query.split("&") if part)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    path = quote(url.path or "/", safe="/~")
    body = hashlib.sha256(request.body).hexdigest()
    return "\n".join((request.method, path, query, *lines, "", names, body)), names


def host_signed(url: SplitResult) -> str:
    """The host as the client names it: without the port that is the scheme's own."""
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if url.port in (None, PORTS.get(url.scheme)) else f"{host}:{url.port}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
