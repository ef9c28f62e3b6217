"""Where a URL leads, and through which proxy."""

import pytest

from deeptoken.dial import Origin, Proxies, Proxy, read_proxy, split
from deeptoken.net import Client

LARGE = bytes(range(256)) * 32_768
PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "line", "name"),
    [
        ("http://a.test", False, "a.test", 80, " / HTTP/1.1\r\n", "a.test"),
        ("HTTPS://A.test/x/y?z=1&q", True, "a.test", 443, " /x/y?z=1&q HTTP/1.1\r\n", "a.test"),
        (
            "https://a.test:8443/%2F..;v=1#part",
            True,
            "a.test",
            8443,
            " /%2F..;v=1 HTTP/1.1\r\n",
            "a.test:8443",
        ),
        ("http://a.test:80?q", False, "a.test", 80, " /?q HTTP/1.1\r\n", "a.test"),
        ("http://[::1]:8080/", False, "::1", 8080, " / HTTP/1.1\r\n", "[::1]:8080"),
        ("https://[2001:DB8::1]/", True, "2001:db8::1", 443, " / HTTP/1.1\r\n", "[2001:db8::1]"),
    ],
)
def test_a_url_is_split_as_it_stands(
    url: str, secure: bool, host: str, port: int, line: str, name: str
) -> None:
    origin = Origin(secure=secure, host=host, port=port)

    assert split(url, Proxies()) == (origin, line, name)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.test:3128", Proxy("proxy.test", 3128, False)),
        ("proxy.test:3128", Proxy("proxy.test", 3128, False)),
        ("https://proxy.test", Proxy("proxy.test", 443, True)),
        ("http://us%40er:p%3Aw@[::1]:1/", Proxy("::1", 1, False, "Basic dXNAZXI6cDp3")),
        ("http://user@proxy.test", Proxy("proxy.test", 80, False, "Basic dXNlcjo=")),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, proxy: Proxy) -> None:
    assert read_proxy(url) == proxy


@pytest.mark.parametrize("url", ["socks5://proxy.test:1080", "http://", "http://a b", "http://proxy.test:0"])
def test_a_client_refuses_a_proxy_that_does_not_speak_http(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://|host|port"):
        Client(proxies=Proxies(https=url))


@pytest.mark.parametrize(
    ("entry", "url", "direct"),
    [
        ("*", "http://a.test/", True),
        ("a.test", "http://a.test/", True),
        (" A.test ", "http://a.test/", True),
        ("a.test", "http://b.a.test/", True),
        (".a.test", "http://b.a.test/", True),
        (".a.test", "http://a.test/", True),
        ("*.a.test", "http://b.a.test/", True),
        ("a.test", "http://ba.test/", False),
        ("a.test", "http://a.test.org/", False),
        ("a.test:8080", "http://a.test:8080/", True),
        ("a.test:8080", "http://a.test/", False),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.1/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://a.test/", False),
        ("10.0.0.0/8", "http://[2001:db8::1]/", False),
        ("10.0.0.0/80", "http://10.1.2.3/", False),
        ("10.1.2.3", "http://10.1.2.3/", True),
        ("10.1.2.3:80", "http://10.1.2.3/", True),
        ("1.2.3", "http://10.1.2.3/", False),
        ("2001:db8::/32", "https://[2001:db8::1]/", True),
        ("2001:db8:0::1", "https://[2001:db8::1]/", True),
        ("[2001:db8::1]", "https://[2001:db8::1]/", True),
        ("[2001:db8::1]:443", "https://[2001:db8::1]/", True),
        ("[2001:db8::1]:444", "https://[2001:db8::1]/", False),
        ("", "http://a.test/", False),
        (".", "http://a.test/", False),
    ],
)
def test_an_entry_of_no_proxy_means_hosts_their_subdomains_addresses_and_networks(
    entry: str, url: str, direct: bool
) -> None:
    origin, _, _ = split(url, Proxies(http=PROXY, https=PROXY, no_proxy=("other.test", entry)))

    assert (origin.proxy is None) is direct


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_is_called_without_a_proxy_unless_that_is_said(host: str) -> None:
    never, _, _ = split(f"http://{host}:81/", Proxies(http=PROXY))
    said, _, _ = split(f"http://{host}:81/", Proxies(http=PROXY, loopback=True))

    assert never.proxy is None
    assert said.proxy == Proxy("proxy.test", 3128, False)


def test_plain_and_tls_calls_have_proxies_of_their_own_and_only_plain_ones_name_the_whole_url() -> None:
    proxies = Proxies(http="http://u:p@plain.test", https="http://u:p@tls.test")

    plain, plain_line, _ = split("http://a.test:8080/x?y", proxies)
    secure, secure_line, _ = split("https://a.test/x?y", proxies)

    assert plain.proxy == read_proxy("http://u:p@plain.test")
    assert plain_line == " http://a.test:8080/x?y HTTP/1.1\r\nproxy-authorization: Basic dTpw\r\n"
    assert secure.proxy == read_proxy("http://u:p@tls.test")
    assert secure_line == " /x?y HTTP/1.1\r\n"


def test_proxies_are_read_from_the_variables_that_everybody_sets() -> None:
    told = Proxies.told({"HTTPS_PROXY": "http://p:1", "http_proxy": "http://q:2", "NO_PROXY": "a, .b,"})

    assert told == Proxies(http="http://q:2", https="http://p:1", no_proxy=("a", ".b"))
    assert Proxies.told({}) == Proxies()
