"""What crm_mon prints (Pacemaker 2.1.5), with a node and events as a test wants them."""

from __future__ import annotations

from fencebus_host.proofs.cluster_view import ClusterView, FenceEvent, Result, read_view

REBOOT = FenceEvent("reboot", "b", Result.SUCCESS, "a", "pacemaker-controld.7", "2026-11-23 03:18:30Z")
OFF = FenceEvent("off", "b", Result.SUCCESS, "a", "stonith_admin.9", "2026-11-23 03:19:25Z")
BY_HAND = FenceEvent("off", "b", Result.SUCCESS, "a human", "stonith_admin.8", "2026-11-23 03:19:24Z")


def printed(
    *events: FenceEvent, b: str = "offline", quorate: bool = True, agents: tuple[str, ...] = ("fence_ipmilan",)
) -> str:
    """The whole answer; ``b``: online, offline, or unclean."""
    online, unclean = ("false" if b == "offline" else "true"), ("true" if b == "unclean" else "false")
    devices = "".join(
        f'<resource id="power-{agent}" resource_agent="stonith:{agent}"><node name="a" id="1"/></resource>'
        for agent in agents
    )
    history = "".join(
        f'<fence_event action="{each.action}" target="{each.target}" client="{each.client}" origin="a" '
        f'status="{each.result.value}" delegate="{each.delegate}" completed="{each.completed}"/>'
        for each in events
    )
    return f"""<pacemaker-result api-version="2.25" request="crm_mon">
  <summary><stack type="corosync"/>
    <current_dc present="true" version="2.1.5" name="a" id="1" with_quorum="{str(quorate).lower()}"/>
  </summary>
  <nodes>
    <node name="a" id="1" online="true" unclean="false" type="member"/>
    <node name="b" id="2" online="{online}" unclean="{unclean}" type="member"/>
  </nodes>
  <resources>{devices}<resource id="vm" resource_agent="ocf:heartbeat:VirtualDomain"/></resources>
  <fence_history>{history}</fence_history>
  <status code="0" message="OK"/>
</pacemaker-result>"""


def view(
    *events: FenceEvent, b: str = "offline", quorate: bool = True, agents: tuple[str, ...] = ("fence_ipmilan",)
) -> ClusterView:
    """As it is read; the latest event first."""
    return read_view(printed(*events, b=b, quorate=quorate, agents=agents))
