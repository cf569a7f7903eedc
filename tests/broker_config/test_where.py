"""What a URL names, for whoever looks at brokers one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_broker.where import UnfitUrl, of_folder, places
from fencebus_schemas.bus_url import Broker, Tls


def test_a_list_of_urls_names_its_brokers_in_order() -> None:
    found = places("amqps://a:s%40cret@b1/fencebus, amqp://[2001:db8::1]:5673")
    assert found == (
        Broker("amqps", "b1", 5671, "fencebus", "a", "s@cret"),
        Broker("amqp", "2001:db8::1", 5673, "/", "guest", "guest"),
    )
    assert [str(place) for place in found] == ["amqps://a@b1:5671/fencebus", "amqp://guest@[2001:db8::1]:5673"]
    assert "s@cret" not in repr(found)


@pytest.mark.parametrize("url", ("http://b1", "amqp1://b1", "peers://b1", "amqp://", "amqp://b1:x", "amqp://[", ""))
def test_what_cannot_be_looked_at_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(UnfitUrl) as caught:
        places(f"amqp://b0,{url}")
    assert caught.value.number == 2
    assert str(caught.value).startswith("URL 2: ")


def test_a_list_of_amqp_1_0_has_no_user_unless_it_names_one() -> None:
    found = places("amqp1s://a:s@b1, amqp1://b2")
    assert found == (Broker("amqp1s", "b1", 5671, "/", "a", "s"), Broker("amqp1", "b2", 5672, "/", "", ""))


def test_both_versions_in_a_list_are_refused() -> None:
    for text, scheme in (("amqp1://b0,amqp://b1", "amqp1"), ("amqp://b0,amqp1://b1", "amqp")):
        with pytest.raises(UnfitUrl, match=f"URL 2: it has to begin with {scheme}://"):
            places(text)


def test_papers_of_a_folder_are_those_that_are_there(tmp_path: Path) -> None:
    assert of_folder(tmp_path, "a") == Tls()
    (tmp_path / "ca.pem").touch()
    (tmp_path / "a.pem").touch()
    assert of_folder(tmp_path, "a") == Tls(str(tmp_path / "ca.pem"), str(tmp_path / "a.pem"))
