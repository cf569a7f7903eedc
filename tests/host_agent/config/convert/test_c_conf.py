"""A C fence_virt.conf: what C did stays, whatever it was written as; what cannot stay is told."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.convert.c_conf import convert
from fencebus_host.config.convert.conversion import Conversion, SourceError, Weight
from fencebus_host.config.load import load_text
from fencebus_host.config.model import ClusterSettings, Config, TcpSettings
from fencebus_host.config.problems import ConfigError, Severity
from fencebus_host.config.tree import Item, render
from tests.fuzz.strategies_config import plausible_trees


def conf(daemon: str = "", listener: str = "", rest: str = "", backend: str = "libvirt", kind: str = "tcp") -> str:
    return (
        f'fence_virtd {{\n listener = "{kind}"; backend = "{backend}"; {daemon} }}\n'
        f"listeners {{ {kind} {{ {listener} }} }}\n{rest}"
    )


def ours(found: Conversion) -> Config:
    return load_text(render(found.items), "new", read_keys=False)


def error_codes(found: Conversion) -> set[str]:
    try:
        ours(found)
    except ConfigError as error:
        return {problem.code for problem in error.problems if problem.severity is Severity.ERROR}
    return set()


def said(found: Conversion, weight: Weight) -> str:
    return "\n".join(str(remark) for remark in found.remarks if remark.weight is weight)


def test_a_plain_file_keeps_every_setting() -> None:
    text = conf(
        listener='address = "192.0.2.1"; port = "7"; key_file = "/k";', rest='backends { libvirt { uri = "x:///"; } }'
    )
    assert ours(convert(text, "c")) == load_text(text, "c", read_keys=False)


def test_auth_of_tcp_was_the_weakest_hash_and_is_written_so() -> None:
    found = convert(conf(listener='hash = "sha512"; auth = "sha1";'), "c")
    (listener,) = ours(found).listeners
    assert isinstance(listener, TcpSettings)
    assert (listener.hash.value, listener.auth.value) == ("sha1", "sha256")
    assert 'C took `auth = "sha1"` as the weakest hash' in said(found, Weight.CHANGED)
    assert ours(found).warnings == ()


@pytest.mark.parametrize(
    ("old", "new"), (('port = "12z9"', 12), ('port = "1229 "', 1229), ('port = " 7"', 7), ('port = "x"', 1229))
)
def test_numbers_are_those_that_c_read(old: str, new: int) -> None:
    found = convert(conf(listener=f"{old};"), "c")
    (listener,) = ours(found).listeners
    assert isinstance(listener, TcpSettings)
    assert listener.port == new


def test_a_switch_with_a_word_was_off_in_c_and_stays_off() -> None:
    found = convert(conf(daemon='foreground = "yes";'), "c")
    assert ours(found).daemon.foreground is False
    assert 'C read it as "0"' in said(found, Weight.KEPT)


def test_what_c_ignored_is_dropped_and_told_with_its_line() -> None:
    found = convert(conf(daemon='module_path = "/x"; bogus = "1";', rest="zebra { }\nfence { }"), "c")
    told = said(found, Weight.DROPPED)
    for name in ("module_path", "bogus", "zebra", "fence"):
        assert f"`{name}`" in told
    assert "c:4: `zebra`" in told


def test_of_what_is_repeated_the_last_one_stays() -> None:
    text = conf(listener='port = "1"; port = "2";') + '\nlisteners { tcp { port = "3"; } }'
    found = convert(text, "c")
    (listener,) = ours(found).listeners
    assert isinstance(listener, TcpSettings)
    assert listener.port == 3
    assert "C took the later one" in said(found, Weight.DROPPED)


def test_checkpoint_becomes_cpg_with_the_uri_of_the_libvirt_section_and_the_old_name_mode() -> None:
    rest = 'backends { libvirt { uri = "xen:///"; } }'
    found = convert(conf('name_mode = "uuid";', rest=rest, backend="Checkpoint"), "c")
    backend = ours(found).backend
    assert isinstance(backend, ClusterSettings)
    assert (backend.kind, backend.uris, backend.name_mode.value) == ("cpg", ("xen:///",), "uuid")
    assert "must be proven fenced" in said(found, Weight.CHANGED)


def test_libvirt_qpid_becomes_libvirt_qmf_and_keeps_its_port() -> None:
    found = convert(conf(backend="libvirt-qpid", rest='backends { libvirt-qpid { host = "b"; } }'), "c")
    backend = ours(found).backend
    assert isinstance(backend, QmfSettings)
    assert (backend.kind, backend.url) == ("libvirt-qmf", "amqp1://b:49000")


@pytest.mark.parametrize(
    ("old", "new"), (("pm-fence", "cpg"), ("null", "null"), ("nosuch", "libvirt"), ("", "libvirt"))
)
def test_a_backend_that_somebody_must_think_about_is_told_so(old: str, new: str) -> None:
    found = convert(conf(backend=old), "c")
    assert ours(found).backend.kind == new
    assert said(found, Weight.DECIDE)


def test_groups_that_c_ignored_because_of_an_empty_one_are_a_decision() -> None:
    found = convert(conf(rest='groups { group { uuid = "a"; ip = "1.1.1.1"; } group { name = "x"; } }'), "c")
    assert "C ignored every group" in said(found, Weight.DECIDE)
    groups = ours(found).groups
    assert groups is not None
    assert len(groups) == 2
    assert ours(convert(conf(rest="groups { }"), "c")).groups is None


def test_mistakes_of_syntax_are_told_all_at_once() -> None:
    with pytest.raises(SourceError, match=r"(?s)c:1: .*c:2: "):
        convert("fence_virtd { debug = 1; }\nlisteners { = }", "c")


@given(plausible_trees())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_what_comes_out_is_never_refused_but_for_addresses_and_names_that_c_refused_too(tree: tuple[Item, ...]) -> None:
    try:
        found = convert(render(tree), "c")
    except SourceError:
        return
    allowed = {"unknown-listener", "bad-address", "family-mismatch", "bad-value", "missing-name", "incomplete"}
    assert error_codes(found) <= allowed
