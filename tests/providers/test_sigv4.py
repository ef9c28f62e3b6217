"""AWS's signature: by its published vectors, and as Bedrock is called."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from deeptoken.dial import Proxies, split
from deeptoken.providers.sigv4 import Credentials, credentials, host_signed, region_of, sign, signed
from deeptoken.wire.http import HttpRequest

KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SECRET = f"{KEYS.key_id}:{KEYS.secret_key}"
NOW_S = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp())
HOST = "https://example.amazonaws.com"
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"

BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com"
CALL = HttpRequest(
    f"{BEDROCK}/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
    (("content-type", "application/json"),),
    b'{"messages": []}',
)


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "signature"),
    [
        ("GET", "/", (), b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("GET", "", (), b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", (), b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            (),
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/?Param1=value2&Param1=Value1",
            (),
            b"",
            "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
        ),
        (
            "GET",
            "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            (),
            b"",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
        ("GET", "/ሴ", (), b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (
            "GET",
            "/example space/",
            (),
            b"",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "GET",
            "/example/$delete",
            (),
            b"",
            "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27",
        ),
        (
            "GET",
            "/",
            (("my-header1", " value1"), ("my-header2", '"a   b   c"')),
            b"",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "GET",
            "/",
            (("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")),
            b"",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "POST",
            "/",
            (("My-Header1", "VALUE1"),),
            b"",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            "POST",
            "/",
            (("content-type", "application/x-www-form-urlencoded"),),
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)
def test_aws_published_vectors_come_out(
    method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes, signature: str
) -> None:
    request = HttpRequest(HOST + target, headers, body, method)

    done = dict(signed(request, KEYS, region="us-east-1", service="service", now_s=NOW_S).headers)

    names = ";".join(sorted({"host", "x-amz-date", *(name.lower() for name, _ in headers)}))
    assert done["x-amz-date"] == "20150830T123600Z"
    assert done["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_a_session_token_is_sent_and_signed() -> None:
    keys = Credentials(KEYS.key_id, KEYS.secret_key, TOKEN)

    done = dict(
        signed(
            HttpRequest(f"{HOST}/", method="GET"), keys, region="us-east-1", service="service", now_s=NOW_S
        ).headers
    )

    assert done["x-amz-security-token"] == TOKEN
    assert done["authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    )


def test_a_call_of_bedrock_is_signed_as_aws_own_library_signs_it() -> None:
    """The signature is what botocore 1.44.8 makes of the same call."""
    done = sign(CALL, SECRET, {}, NOW_S)

    assert (done.url, done.body, done.method) == (CALL.url, CALL.body, "POST")
    assert done.headers[0] == ("content-type", "application/json")
    assert dict(done.headers)["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=96964faf82f0d4c94cfee68715f7a33abb29fec8a91edb0971551ba1185a9143"
    )


def test_an_api_key_needs_no_signature() -> None:
    assert sign(CALL, "ABSKQmVkcm9ja0FQSUtleS1=", {}, NOW_S) is CALL
    assert sign(CALL, "", {}, NOW_S) is CALL


def test_a_secret_is_two_keys_or_two_and_a_token() -> None:
    assert credentials("a:b/+") == Credentials("a", "b/+", "")
    assert credentials("a:b:c==:d") == Credentials("a", "b", "c==:d")


@pytest.mark.parametrize("secret", ["hidden:", ":hidden", ":", "hidden::token", "hidden:key:"])
def test_a_secret_of_another_shape_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="ACCESS_KEY_ID:SECRET_ACCESS_KEY") as refused:
        sign(CALL, secret, {}, NOW_S)

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("bedrock-runtime.eu-central-1.api.aws", "eu-central-1"),
        ("vpce-0123-abc.bedrock-runtime.eu-west-3.vpce.amazonaws.com", "eu-west-3"),
    ],
)
def test_the_host_tells_the_region_and_the_option_counts_before_it(host: str, region: str) -> None:
    assert region_of(f"https://{host}/model/m/converse", {}) == region
    assert region_of(f"https://{host}/model/m/converse", {"region": "ap-south-1"}) == "ap-south-1"


@pytest.mark.parametrize("host", ["proxy.test", "bedrock-runtime.test", "notbedrock-runtime.us-east-1.test"])
def test_without_any_region_nothing_is_signed(host: str) -> None:
    with pytest.raises(ValueError, match="region"):
        sign(HttpRequest(f"https://{host}/model/m/converse"), SECRET, {}, NOW_S)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://proxy.test/x", "proxy.test"),
        ("https://proxy.test:443/x", "proxy.test"),
        ("https://proxy.test:80/x", "proxy.test:80"),
        ("http://proxy.test:80/x", "proxy.test"),
        ("http://proxy.test:8080/x", "proxy.test:8080"),
        ("https://[::1]:8443/x", "[::1]:8443"),
        ("https://[::1]/x", "[::1]"),
    ],
)
def test_the_host_that_is_signed_is_the_one_that_is_sent(url: str, host: str) -> None:
    sent = split(url, Proxies())[2]

    assert host_signed(urlsplit(url)) == sent == host
