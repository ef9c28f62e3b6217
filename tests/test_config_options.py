"""The keys of a channel that only some providers know."""

from deeptoken.config_options import OPTIONS
from deeptoken.providers import compatible


def test_only_hosts_of_openai_s_dialect_may_have_its_responses() -> None:
    hosts = {host.name for host in compatible.HOSTS}
    known = {host.name for host in compatible.HOSTS if host.responses}

    allowed = {name for name, options in OPTIONS.items() if "responses" in options}

    assert known <= allowed <= hosts
