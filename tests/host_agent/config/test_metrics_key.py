"""Where figures are served: a port, an address and a port, nothing else; nowhere unless somebody wants them."""

from __future__ import annotations

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.config.metrics_key import MetricsAddress, metrics_address
from fencebus_host.config.problems import ConfigError
from fencebus_host.config.values import BadValueError

CONFIG = "fence_virtd { %s } listeners { serial { } } backends { libvirt { } }"


@pytest.mark.parametrize(
    ("written", "address"),
    (
        ("9711", MetricsAddress("127.0.0.1", 9711)),
        ("192.0.2.1:9711", MetricsAddress("192.0.2.1", 9711)),
        ("[2001:db8::1]:9711", MetricsAddress("2001:db8::1", 9711)),
    ),
)
def test_a_port_is_one_of_loopback_and_an_address_is_taken_as_it_stands(written: str, address: MetricsAddress) -> None:
    assert metrics_address(written) == address
    assert metrics_address(str(address)) == address


@pytest.mark.parametrize("written", ("", "0", "65536", "host1:9711", "2001:db8::1:9711", "[192.0.2.1]:9711", ":9711"))
def test_what_is_no_such_place_is_refused(written: str) -> None:
    with pytest.raises(BadValueError):
        metrics_address(written)


def test_without_a_word_nothing_is_served_and_a_bad_one_refuses_to_start() -> None:
    assert load_text(CONFIG % "", "x", read_keys=False).daemon.metrics is None
    assert load_text(CONFIG % 'metrics = "9711";', "x", read_keys=False).daemon.metrics == metrics_address("9711")
    with pytest.raises(ConfigError):
        load_text(CONFIG % 'metrics = "everywhere";', "x", read_keys=False)
