// Turns the daemon's state, and each change of it, into rows that are patched in place. Texts become text nodes only.

const SILENT = ["silent", "unheard"];
const MARKS = {
  ok: "\u25CF", warn: "\u25B2", error: "\u2716", here: "\u25C6", heard: "\u25CF", silent: "\u25B2", unheard: "\u25B2",
  conflict: "\u2716", running: "\u25CF", paused: "\u2016", incoming: "\u21E3", saved: "\u25A3", off: "\u25CB",
  unknown: "?", done: "\u2713", failed: "\u2716", pending: "\u2026",
};
const STATES = { here: "here", heard: "heard", silent: "silent", unheard: "not heard yet", conflict: "two machines" };
const TROUBLES = {
  conflict: "several claim it", "silent-owner": "host silent", incoming: "migrating in", unknown: "nobody knows",
};
const KEPT_EVENTS = 200;
const GROUP = 20;
const $ = (id) => document.getElementById(id);

const world = { status: null, at: 0, vms: new Map(), events: [] };
const view = { search: "", state: "", host: "", sort: "name", down: false, open: "" };

// -- small things ----------

function made(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function word(node, kind, text) {
  const name = `word ${kind}`;
  if (node.className !== name) node.className = name;
  if (node.dataset.mark !== MARKS[kind]) node.dataset.mark = MARKS[kind] ?? "";
  say(node, text);
}

function age(seconds) {
  for (const [length, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

function clock(at, long) {
  if (at === null || at === undefined) return "";
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString(undefined, { hourCycle: "h23" });
  if (long) return `${date.toLocaleDateString("sv")} ${time}`; // 2026-01-31: the same to readers everywhere
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.toLocaleDateString(undefined, { month: "short", day: "numeric" })} ${time.slice(0, 5)}`;
}

function moment(at) {
  const node = made("time", "", clock(at));
  node.dateTime = new Date(at * 1000).toISOString();
  node.title = clock(at, true);
  return node;
}

/** Makes the children of a list fit the items: those that are there stay, and are patched. */
function patchList(list, items, key, make, patch) {
  const there = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const first = list.childElementCount === 0;
  let place = list.firstElementChild;
  for (const item of items) {
    let node = there.get(key(item));
    there.delete(key(item));
    if (!node) {
      node = make(item);
      node.dataset.key = key(item);
      if (!first) node.classList.add("new");
    }
    if (node === place) place = place.nextElementSibling;
    else list.insertBefore(node, place);
    patch(node, item);
  }
  for (const node of there.values()) node.remove();
}

// -- virtual machines ----------

function makeRow(vm) {
  const row = made("div", "row");
  row.setAttribute("role", "row");
  row.setAttribute("aria-expanded", "false");
  row.tabIndex = -1;
  row.dataset.key = vm.uuid;
  const cells = {};
  for (const name of ["name", "state", "owner", "cluster", "since"]) {
    cells[name] = made("span", name);
    cells[name].setAttribute("role", name === "name" ? "rowheader" : "gridcell");
    row.append(cells[name]);
  }
  cells.word = made("span", "word");
  cells.state.append(cells.word);
  return { vm, row, cells, details: null };
}

function ownerText(vm) {
  const troubles = vm.troubles.map((each) => TROUBLES[each] ?? each).join(", ");
  const hosts = vm.claims.filter((each) => each.state !== "off").map((each) => each.host);
  const owner = vm.owner ?? (vm.troubles.includes("conflict") ? hosts.join(", ") : "");
  return { owner: owner || "\u2013", troubles };
}

function patchRow(entry, vm) {
  entry.vm = vm;
  const { cells, row } = entry;
  say(cells.name, vm.name);
  cells.name.title = vm.uuid;
  word(cells.word, vm.state, vm.state);
  const { owner, troubles } = ownerText(vm);
  const text = troubles ? `${owner} \u25B2 ${troubles}` : owner;
  if (cells.owner.textContent !== text) {
    cells.owner.replaceChildren(owner);
    if (troubles) cells.owner.append(" ", made("span", "trouble", `\u25B2 ${troubles}`));
  }
  say(cells.cluster, vm.cluster ?? "");
  say(cells.since, clock(vm.since));
  row.classList.toggle("conflict-row", vm.troubles.includes("conflict"));
  entry.text = [vm.name, vm.uuid, vm.cluster ?? "", vm.state, owner, troubles].join("\n").toLowerCase();
  if (entry.details) fillDetails(entry);
}

function fillDetails(entry) {
  const { vm } = entry;
  const box = entry.details ?? made("div", "details");
  const table = made("table");
  const head = made("tr");
  for (const each of ["host", "says", "hypervisor", "generation"]) head.append(made("th", "", each));
  const body = made("tbody");
  for (const claim of vm.claims) {
    const line = made("tr");
    const says = claim.silent ? `${claim.state}, before it fell silent` : claim.state;
    const cells = { host: claim.host, says, hypervisor: claim.hypervisor, generation: String(claim.generation) };
    for (const [label, each] of Object.entries(cells)) {
      const cell = made("td", "", each);
      cell.dataset.label = label;
      line.append(cell);
    }
    body.append(line);
  }
  const top = made("thead");
  top.append(head);
  table.append(top, body);
  const since = vm.since ? `${vm.state} since ${clock(vm.since, true)}` : `${vm.state} since before this daemon started`;
  box.replaceChildren(made("code", "", vm.uuid), made("span", "", since), table);
  if (!entry.details) {
    box.setAttribute("role", "gridcell");
    entry.details = box;
    entry.row.append(box);
  }
}

function toggle(entry) {
  if (entry.details) {
    entry.details.remove();
    entry.details = null;
  } else fillDetails(entry);
  entry.row.setAttribute("aria-expanded", String(entry.details !== null));
}

function fits(entry) {
  const { vm } = entry;
  if (view.state === "problems" ? vm.troubles.length === 0 : view.state && vm.state !== view.state) return false;
  if (view.host && vm.owner !== view.host && !vm.claims.some((each) => each.host === view.host)) return false;
  return view.search.split(/\s+/).every((each) => entry.text.includes(each));
}

const collator = new Intl.Collator(undefined, { numeric: true });

function order(one, other) {
  const [a, b] = [one.vm[view.sort] ?? "", other.vm[view.sort] ?? ""];
  const found = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return (view.down ? -found : found) || collator.compare(one.vm.name, other.vm.name);
}

/** Puts the rows into groups: the browser skips a whole group that is out of sight, and has few of them to look at. */
function place(rows, sorted) {
  for (let first = 0; first < sorted.length; first += GROUP) {
    const group = rows.children[first / GROUP] ?? rows.appendChild(makeGroup());
    const some = sorted.slice(first, first + GROUP);
    let next = group.firstElementChild;
    for (const { row } of some) {
      if (row === next) next = next.nextElementSibling;
      else group.insertBefore(row, next);
    }
    const shown = some.filter(({ row }) => !row.hidden).length;
    group.hidden = shown === 0;
    group.style.containIntrinsicSize = `auto ${shown * 35}px`;
  }
  while (rows.childElementCount > Math.ceil(sorted.length / GROUP)) rows.lastElementChild.remove();
}

function makeGroup() {
  const group = made("div", "group");
  group.setAttribute("role", "presentation");
  return group;
}

function arrange() {
  const sorted = [...world.vms.values()].sort(order);
  const rows = $("rows");
  let shown = 0;
  for (const entry of sorted) {
    const fit = fits(entry);
    if (entry.row.hidden === fit) entry.row.hidden = !fit;
    shown += fit;
  }
  place(rows, sorted);
  const all = world.vms.size;
  say($("vms-count"), shown === all ? String(all) : `${shown} of ${all}`);
  $("nothing").hidden = shown > 0;
  $("vms").setAttribute("aria-rowcount", String(all + 1));
  const there = rows.querySelector('.row[tabindex="0"]:not([hidden])');
  if (!there) {
    rows.querySelector('.row[tabindex="0"]')?.setAttribute("tabindex", "-1");
    rows.querySelector(".row:not([hidden])")?.setAttribute("tabindex", "0");
  }
}

function patchVms(patch) {
  const before = world.vms.size;
  if (patch.whole) {
    const named = new Set(patch.vms.map((vm) => vm.uuid));
    patch.gone = [...world.vms.keys()].filter((uuid) => !named.has(uuid));
  }
  for (const uuid of patch.gone) {
    world.vms.get(uuid)?.row.remove();
    world.vms.delete(uuid);
  }
  for (const vm of patch.vms) {
    let entry = world.vms.get(vm.uuid);
    if (!entry) {
      entry = makeRow(vm);
      if (before) entry.row.classList.add("new");
      world.vms.set(vm.uuid, entry);
    }
    patchRow(entry, vm);
  }
  if (patch.vms.length || patch.gone.length) arrange();
}

// -- everything else ----------

function chip(list, value, text, pressed, press) {
  const button = made("button", "", text);
  button.type = "button";
  button.dataset.value = value;
  button.setAttribute("aria-pressed", String(pressed));
  button.addEventListener("click", press);
  list.append(button);
}

function patchStates(status) {
  const odd = [...world.vms.values()].filter((entry) => entry.vm.troubles.length).length;
  const wanted = [["", "all"], ...status.states.map((each) => [each.state, `${each.state} ${each.vms}`])];
  if (odd || view.state === "problems") wanted.push(["problems", `\u25B2 odd ${odd}`]);
  const list = $("states");
  const key = JSON.stringify([wanted, view.state]);
  if (list.dataset.key === key) return;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.value : null;
  list.dataset.key = key;
  list.replaceChildren();
  for (const [value, text] of wanted) {
    chip(list, value, text, view.state === value, () => choose({ state: view.state === value ? "" : value }));
  }
  if (focused !== null) [...list.children].find((each) => each.dataset.value === focused)?.focus();
}

function makeHost(host) {
  const item = made("li");
  const button = made("button");
  button.type = "button";
  button.append(made("span", "name"), made("span", "word"), made("span", "note"));
  button.addEventListener("click", () => choose({ host: view.host === host.name ? "" : host.name }));
  item.append(button);
  return item;
}

function hostNote(host, later) {
  const counted = `${host.claims} of ${host.vms} VMs alive`;
  if (host.proof) return `${counted}; ${host.proof}`;
  if (!SILENT.includes(host.state)) return counted;
  const since = host.heard_ago === null ? "never heard" : `silent for ${age(host.heard_ago + later)}`;
  return `${since}, not proven dead; it had ${host.claims} VMs`;
}

function patchHosts(status) {
  patchList($("hosts"), status.hosts, (host) => host.name, makeHost, (item, host) => {
    const button = item.firstElementChild;
    const [name, state, note] = button.children;
    button.classList.toggle("mute", SILENT.includes(host.state));
    button.setAttribute("aria-pressed", String(view.host === host.name));
    say(name, host.name);
    word(state, host.state, STATES[host.state] ?? host.state);
    say(note, hostNote(host, elapsed()));
  });
  say($("hosts-count"), String(status.hosts.length));
}

const elapsed = () => ($("snapshot") ? 0 : (performance.now() - world.at) / 1000);

function makeFence(fence) {
  const item = made("li");
  item.append(made("span", "word"), made("span", "what"), moment(fence.at), made("span", "why"));
  return item;
}

function patchFences(status) {
  const all = [...status.running.map((each) => ({ ...each, runs: true })), ...status.finished];
  patchList($("fences"), all.length ? all : [{ id: "none" }], (fence) => fence.id,
    (fence) => (fence.id === "none" ? made("li", "empty", "None since the records begin.") : makeFence(fence)),
    (item, fence) => {
      if (fence.id === "none") return;
      const [state, what, , why] = item.children;
      const kind = fence.runs ? "pending" : fence.ok ? "done" : "failed";
      word(state, kind, fence.runs ? "running" : fence.ok ? "done" : "failed");
      say(what, `${fence.action} ${fence.target}`);
      const took = `${(fence.seconds + (fence.runs ? elapsed() : 0)).toFixed(2)} s`;
      const asked = `asked by ${fence.by || fence.source} via ${fence.via}`;
      say(why, fence.runs ? `${asked}, for ${took}` : `${fence.reason} after ${took}, ${asked}${fence.ok || !fence.text ? "" : `: ${fence.text}`}`);
      item.title = fence.id;
    });
}

function patchProblems(status) {
  patchList($("problems"), status.problems, (each) => `${each.code} ${each.text}`, (problem) => {
    const item = made("li", problem.health);
    item.append(made("b", "", `${MARKS[problem.health]} ${problem.code}`), problem.text);
    return item;
  }, () => {});
}

function makePart() {
  const item = made("li");
  item.append(made("span"), made("span", "word"));
  return item;
}

/** Whom a router knows, and by what; as the line of `fence_virtctl status`. */
function routerNote(router) {
  const words = [`${router.members} member${router.members === 1 ? "" : "s"}`, `${router.heard} heard`];
  if (router.quorate !== null) words.push(router.quorate ? "quorate" : "no quorum");
  if (router.epoch !== null) words.push(`epoch ${router.epoch}`);
  words.push(`${router.connected ? "on" : "not on"} ${router.bus || "the others"}`);
  return words.join(", ");
}

function patchDaemon(status) {
  patchList($("parts"), status.parts, (part) => part.name, makePart, (item, part) => {
    say(item.firstElementChild, part.trouble ? `${part.name}: ${part.trouble}` : part.name);
    word(item.lastElementChild, part.trouble ? "failed" : "done", part.trouble ? "fails" : "works");
  });
  patchList($("routers"), status.routers, (router) => router.name, makePart, (item, router) => {
    const well = router.connected && router.quorate !== false;
    say(item.firstElementChild, `${router.name}: ${routerNote(router)}`);
    const kind = !well ? "failed" : router.synced ? "done" : "pending";
    word(item.lastElementChild, kind, { failed: "alone", done: "synced", pending: "not synced" }[kind]);
  });
  say($("about"), `fence_virtd ${status.program}, router ${status.router}, since ${clock(status.started, true)}`);
}

function patchEvents(events) {
  if (!events.length && $("events").childElementCount) return;
  world.events = [...events.slice().reverse(), ...world.events].slice(0, KEPT_EVENTS);
  const shown = world.events.length ? world.events : [{ number: "none" }];
  patchList($("events"), shown, (event) => `${event.number} ${event.at}`, (event) => {
    if (event.number === "none") return made("li", "empty", "Nothing has happened yet.");
    const item = made("li");
    item.append(moment(event.at), made("span", "", event.text.replaceAll(" -> ", " \u2192 ")));
    return item;
  }, () => {});
}

function show(patch) {
  world.status = patch.status;
  world.at = performance.now();
  if (patch.whole) world.events = [];
  const { status } = patch;
  document.title = `${MARKS[status.health]} fencebus on ${status.host}`;
  say($("host"), `on ${status.host}`);
  word($("health"), status.health, status.health.toUpperCase());
  patchVms(patch);
  patchProblems(status);
  patchHosts(status);
  patchStates(status);
  patchFences(status);
  patchDaemon(status);
  patchEvents(patch.events);
  lost(patch.trouble);
}

function lost(trouble) {
  $("live").classList.toggle("lost", Boolean(trouble));
  say($("live"), trouble ? `old: ${trouble}` : "live");
}

function choose(change) {
  Object.assign(view, change);
  if (!world.status) return;
  arrange();
  patchStates(world.status);
  patchHosts(world.status);
}

// -- keys ----------

function move(from, step) {
  const rows = [...$("rows").querySelectorAll(".row:not([hidden])")];
  const place = Math.min(rows.length - 1, Math.max(0, from ? rows.indexOf(from) + step : 0));
  if (rows[place]) focusRow(rows[place]);
}

function focusRow(row) {
  $("rows").querySelector('.row[tabindex="0"]')?.setAttribute("tabindex", "-1");
  row.tabIndex = 0;
  row.focus();
}

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target instanceof HTMLInputElement;
  const row = event.target instanceof Element ? event.target.closest("#rows .row") : null;
  if (event.key === "/" && !typing) $("search").focus();
  else if (event.key === "Escape") escape(typing);
  else if (typing && event.key === "ArrowDown") move(null, 0);
  else if (row && (event.key === "Enter" || event.key === " ")) toggle(world.vms.get(row.dataset.key));
  else if (row && event.key in STEPS) move(row, STEPS[event.key]);
  else if (!typing && (event.key === "j" || event.key === "k")) move(null, 0);
  else return;
  event.preventDefault();
});

function escape(typing) {
  $("search").value = "";
  choose({ search: "", state: "", host: "" });
  if (typing) $("search").blur();
}

$("search").addEventListener("input", () => choose({ search: $("search").value.trim().toLowerCase() }));
$("rows").addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (!row || event.target.closest(".details") || String(getSelection())) return;
  focusRow(row);
  toggle(world.vms.get(row.dataset.key));
});
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    view.down = view.sort === button.dataset.sort && !view.down;
    view.sort = button.dataset.sort;
    for (const each of document.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    arrange();
  });
}

// -- the stream ----------

function follow() {
  const stream = new EventSource("live");
  stream.addEventListener("patch", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("trouble", (event) => lost(JSON.parse(event.data)));
  stream.addEventListener("error", () => lost("the server of this page does not answer"));
  setInterval(() => {
    if (!world.status || document.hidden) return;
    patchHosts(world.status);
    if (world.status.running.length) patchFences(world.status);
  }, 1000);
}

/** A page that was saved as one file brings the moment that it shows. */
function showMoment(status) {
  show({ status, vms: status.vms, gone: [], events: [], whole: true, trouble: "" });
  $("live").classList.add("moment");
  say($("live"), `as of ${clock(status.at, true)}`);
  $("events").closest("section").hidden = true;
}

const saved = $("snapshot");
if (saved) showMoment(JSON.parse(saved.textContent));
else follow();
