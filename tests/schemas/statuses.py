"""Values of the data model for tests, with something in every field."""

from __future__ import annotations

from fencebus_schemas import status as model
from fencebus_schemas.status import (
    Claim,
    EventKind,
    EventStatus,
    Explanation,
    FinishedFence,
    Health,
    HistoryStatus,
    HostList,
    HostState,
    HostStatus,
    PartStatus,
    PauseStatus,
    Problem,
    Rehearsal,
    RouterStatus,
    RuleStatus,
    RunningFence,
    SeenStatus,
    StateCount,
    Status,
    Step,
    VmStatus,
)

SEEN = SeenStatus("uuid", "off", "running", "process exit", "h1", "qemu:///system", False, "17", "")
FENCE = FinishedFence(
    *("0123456789abcdef", 1e9, "off", "vm1", "192.0.2.1", "tcp", False, "not-proven", "it\tlives", 1.5, (SEEN,)), "vm2"
)
RUNNING = RunningFence("fedcba9876543210", 1e9, "reboot", "vm2", "192.0.2.2", "multicast", 0.25, "vm3")
VM = VmStatus(
    "11111111-1111-1111-1111-111111111111",
    "vm1",
    "running",
    None,
    (Claim("h1", "running", "qemu:///system", 3), Claim("h2", "running", silent=True)),
    "blue",
    1e9,
    ("conflict", "silent-owner"),
)
ROUTERS = (
    RouterStatus("qmf", 3, 2, False, None, 7, "amqps://fence@broker:5671", True),
    RouterStatus("checkpoint", 3, 3, True, False, None, "corosync", True),
)
STATUS = Status(
    version=model.VERSION,
    host="h1",
    pid=7,
    program="1.0",
    file="/etc/fence_virt.conf",
    router="qmf",
    started=1e9,
    at=1e9 + 60,
    health=Health.ERROR,
    problems=(Problem("vm-conflict", Health.ERROR, "several hosts claim vm1"), Problem("x", Health.WARN, "odd <b>")),
    pause=PauseStatus(1e9, "upgrade", 2e9, "uid 0"),
    hosts=(
        HostStatus("h1", HostState.HERE, 1, 1, 0.0, "a.b"),
        HostStatus("h2", HostState.SILENT, 1, 1, 22.0, "", "operator"),
        HostStatus("h3", HostState.UNHEARD),
    ),
    vms=(VM, VmStatus("22222222-2222-2222-2222-222222222222", "vm<2>", "off", "h1")),
    vms_known=10,
    states=(StateCount("running", 9), StateCount("off", 1)),
    parts=(
        PartStatus("router qmf"),
        PartStatus("listener tcp", "port in use"),
        PartStatus("listener multicast", heard_ago=125.0),
    ),
    running=(RUNNING,),
    finished=(FENCE,),
    incarnation="a.b",
    routers=ROUTERS,
)
EVENT = EventStatus(3, 1e9, EventKind.VM_CHANGED, "vm1: running -> off", "h1", "uuid", "vm1", "0123")
EXPLANATION = Explanation(
    model.VERSION,
    FENCE,
    "s4_off_is_proven",
    (RuleStatus("s4_off_is_proven", "S4: ...", True, "not-proven", "it lives"),),
    ("it lives",),
    (Claim("h1", "running"),),
    False,
    "a note",
)
ALL = (
    STATUS,
    EVENT,
    EXPLANATION,
    HistoryStatus(model.VERSION, "h1", (FENCE,), (RUNNING,)),
    HostList(model.VERSION, "h1", STATUS.hosts, ROUTERS),
    Rehearsal(model.VERSION, "off", "vm1", True, (Step("found", True, "on h1"),)),
)
