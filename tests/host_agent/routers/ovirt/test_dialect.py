"""What goes out to a manager: addresses, headers, searches, bodies."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.backends import ApiVersion
from fencebus_host.routers.ovirt import dialect
from fencebus_schemas.model import Uuid

NAMES = st.text(max_size=300)


@pytest.mark.parametrize(
    ("url", "api", "sso"),
    (
        ("https://e", ("/ovirt-engine/api", "/api"), "/ovirt-engine/sso"),
        ("https://e/ovirt-engine/api", ("/ovirt-engine/api",), "/ovirt-engine/sso"),
        ("https://e/api", ("/api",), "/ovirt-engine/sso"),
        ("https://e/proxied/ovirt-engine/api", ("/proxied/ovirt-engine/api",), "/proxied/ovirt-engine/sso"),
    ),
)
def test_the_places_of_a_manager_follow_from_its_address(url: str, api: tuple[str, ...], sso: str) -> None:
    found = dialect.address(url)
    assert (found.origin, found.api, found.sso) == ("https://e", api, sso)
    assert found.token == f"https://e{sso}/oauth/token"
    assert all(each.startswith("https://e/") for each in found.certificates)


def test_the_port_stays() -> None:
    assert dialect.address("https://e:8443").origin == "https://e:8443"


def test_v3_is_told_to_keep_the_session_and_what_to_show() -> None:
    said = dialect.headers(ApiVersion.V3, "id", user_filter=True)
    assert (said["Version"], said["Prefer"], said["Filter"]) == ("3", "persistent-auth", "true")
    assert "Filter" not in dialect.headers(ApiVersion.V3, "id", user_filter=False)


def test_v4_decides_by_itself_what_an_account_sees() -> None:
    said = dialect.headers(ApiVersion.V4, "", user_filter=True)
    assert said["Version"] == "4"
    assert {"Filter", "Prefer", "Correlation-Id"}.isdisjoint(said)
    assert "Version" not in dialect.headers(ApiVersion.AUTO, "", user_filter=False)


def test_a_correlation_id_is_what_an_engine_keeps_of_it() -> None:
    assert len(dialect.headers(ApiVersion.V4, "x" * 50, user_filter=False)["Correlation-Id"]) == 36


@given(NAMES.filter(dialect.is_searchable), st.sampled_from((ApiVersion.V3, ApiVersion.V4)))
def test_a_search_asks_for_exactly_this_name_and_nothing_else(name: str, version: ApiVersion) -> None:
    path = dialect.search_path(version, name)
    assert path.isascii()
    assert path.isprintable()
    said = parse_qs(urlsplit(path).query)
    assert said["search"] == [f'name="{name}"']
    assert "case_sensitive=true" in path
    assert f"max={dialect.MOST_HITS}" in path


@given(NAMES)
def test_a_name_that_could_be_a_pattern_or_end_the_quotes_is_never_searched_for(name: str) -> None:
    if dialect.is_searchable(name):
        assert not set(name) & {"*", '"', "\\", "\n", "\0"}


def test_a_stop_is_forced_and_says_why() -> None:
    body = ET.fromstring(dialect.stop_body("a <reason>"))
    assert (body.tag, body.findtext("force"), body.findtext("reason")) == ("action", "true", "a <reason>")
    assert dialect.start_body() == b"<action/>"


def test_nobody_can_make_it_promise_that_a_host_has_been_rebooted() -> None:
    assert b"<fence_type>status</fence_type>" in dialect.fence_body("status")
    assert b"<fence_type>restart</fence_type>" in dialect.fence_body("restart")
    for other in ("manual", "stop", "start", ""):
        with pytest.raises(ValueError, match=f"^{other}$"):
            dialect.fence_body(other)


def test_a_vm_is_asked_for_by_its_uuid_without_a_search() -> None:
    assert dialect.vm_path(Uuid("u")) == "/vms/u"


def test_the_grant_names_the_scope_that_engines_demand() -> None:
    assert dialect.password_grant("u", "p") == {
        "grant_type": "password",
        "scope": "ovirt-app-api",
        "username": "u",
        "password": "p",
    }
