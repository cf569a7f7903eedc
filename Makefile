# The commands of fencebus. On a fresh Debian 12, as root or through sudo, each installs what it needs by itself.
#
#   make demo    the daemon and the client on libvirt's test driver, from status to reboot
#   make test    lint, types, layers, and every test with the coverage gates
#   make bench   a table of times, C programs against ours
#   make bench-guests   the same for lines to guests, and from inside real guests
#   make bench-managers an off through a manager's stand-in, beside fence_rhevm
#   make bench-bus      a fence across hosts on RabbitMQ beside a bare echo over it; events, idle traffic, silence
#   make bench-hosts    a fence across hosts on a bus in memory; a thousand hosts in one picture
#   make bench-checkpoint   the same over a real corosync cluster, beside the C daemon's cpg backend
#   make soak-checkpoint    random joins, leaves and kills among its hosts, SECONDS=60: no false fence may be told
#   make mutation       changes what decides in every small way; docs/mutation.md tells what no test notices (MODULES=..., ANEW=yes)
#   make guest   dist/fence_virt: the client as one file, to be copied into a guest
#   make package dist/*.deb, and dist/*.rpm: guest client and daemon, in the place of the C programs' packages
#   make fuzz    hostile bytes for every decoder, SECONDS=60 each
#   make sim     many hosts on a virtual clock against every fault, SECONDS=60, or SEEDS=20000
#   make sim-bites  each clause of the protocol switched off: the schedule that shows what it is needed for
#   make soak    a siege of real guests, SECONDS=60: no success may be told while the old life runs

.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-guests bench-managers bench-hosts bench-checkpoint soak-checkpoint bench-bus mutation guest package fuzz sim sim-bites soak lint venv clean debian-runtime debian-package debian-tests

# libvirt-python is compiled against Debian's libvirt, so it has to be Debian's Python, whatever is first on PATH.
PYTHON ?= /usr/bin/python3
SECONDS ?= 60
# Processes that share the tests: one more than the cores of a small machine, as many a test waits for other programs.
JOBS ?= 3

VENV := .venv
# Inside it, so that who removes it removes them too.
STAMPS := $(VENV)/stamps
ALL := .tox/all/bin
# What decides about the contents of the virtual environment.
RECIPE := setup.py pyproject.toml schemas/fencebus_schemas/__init__.py $(wildcard guest_client/bin/*)
# --no-input and closed standard input everywhere: nobody is there to be asked in CI.
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --no-input --disable-pip-version-check
# An editable install is found through site-packages, which the guest's launchers do not read (python3 -IS): links into
# the checkout, where a launcher finds its packages beside itself.
LINK_LAUNCHERS = for each in $(notdir $(wildcard guest_client/bin/fence_*)); do \
	ln -sf ../../guest_client/bin/$$each $(VENV)/bin/$$each; done

help:
	@sed -n 's/^#   make/make/p' Makefile

demo: $(STAMPS)/host
	$(VENV)/bin/python -m fencebus_host.demo

# The last thing printed has to be pytest's closing line, whatever comes out; tox would add one of its own after a
# failure. So tox makes the environment `all`, and its commands are run here.
test: $(STAMPS)/tox debian-tests
	$(VENV)/bin/tox run -q -e lint,type,layers </dev/null
	@$(VENV)/bin/tox run -qq --notest -e all </dev/null
	@$(ALL)/coverage erase
	@PATH="$(CURDIR)/$(ALL):$$PATH" $(ALL)/coverage run -m pytest -p tests.coverage_gate -n $(JOBS) --dist loadgroup </dev/null

lint: $(STAMPS)/tox
	$(VENV)/bin/tox run -q -e lint,type,layers

bench: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.bench

bench-managers: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.bench.managers

bench-guests: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.bench.guests

bench-hosts: $(STAMPS)/dev
	$(VENV)/bin/python -m tests.bench.federation
	$(VENV)/bin/python -m tests.bench.ownership

bench-bus: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.bench.bus

bench-checkpoint: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.bench.checkpoint

soak-checkpoint: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.corosync_siege $(SECONDS)

mutation: $(STAMPS)/dev
	$(VENV)/bin/python -m tests.mutation $(if $(ANEW),--all) $(MODULES)

fuzz: $(STAMPS)/dev
	$(VENV)/bin/python -m tests.fuzz --seconds $(SECONDS)

sim: $(STAMPS)/dev
	$(VENV)/bin/python -m tests.sim $(if $(SEEDS),--seeds $(SEEDS),--seconds $(SECONDS))

sim-bites: $(STAMPS)/dev
	$(VENV)/bin/python -m tests.sim.biting

soak: $(STAMPS)/dev debian-tests
	$(VENV)/bin/python -m tests.soak $(SECONDS)

guest:
	@mkdir -p dist
	$(PYTHON) guest_client/build_onefile.py

package: debian-package
	$(PYTHON) packaging/build_debian.py dist
	$(PYTHON) packaging/build_rpm.py dist

# For those who work on fencebus: everything in .venv, for editors and for single tests.
venv: $(STAMPS)/dev

debian-runtime:
	@tools/install-debian tools/debian/runtime.txt

debian-package:
	@tools/install-debian tools/debian/package.txt

debian-tests: debian-runtime debian-package
	@tools/install-debian tools/debian/tests.txt

$(STAMPS)/python: | debian-runtime
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/host: $(STAMPS)/python $(RECIPE)
	$(PIP_INSTALL) --editable '.[host,qmf]' </dev/null
	@$(LINK_LAUNCHERS)
	@touch $@

$(STAMPS)/tox: $(STAMPS)/python setup.py
	$(PIP_INSTALL) 'tox>=4.20' </dev/null
	@touch $@

$(STAMPS)/dev: $(STAMPS)/host
	$(PIP_INSTALL) --editable '.[dev]' </dev/null
	@$(LINK_LAUNCHERS)
	@touch $@ $(STAMPS)/tox

clean:
	rm -rf $(VENV) .tox build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
