"""Decides how fencebus is built and installed: five folders, one distribution."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# Each top-level folder is a unit that is deployed; the import package inside has a name of its own,
# because a bare "agent" or "schemas" would collide with others in site-packages.
FOLDERS = {
    "fencebus_schemas": "schemas",
    "fencebus_agent": "agent",
    "fencebus_host": "host_agent",
    "fencebus_guest": "guest_client",
    "fencebus_broker": "broker_config",
}

# lark reads the configuration file, click the command line of fence_virtctl, whose tables rich prints; libvirt-python
# is compiled against the libvirt-dev of the machine.
HOST = ["lark>=1.1.9,<2", "libvirt-python>=9.0", "click>=8.1,<9", "rich>=13.3,<16"]
QMF = ["python-qpid-proton>=0.39,<1"]
RABBITMQ = ["kombu>=5.3,<6"]
# What makes settings for brokers, and looks at one; certificates are made by the program openssl.
BROKER = ["click>=8.1,<9", "kombu>=5.3,<6", "python-qpid-proton>=0.39,<1"]
SERIAL = ["pyserial>=3.5"]
WEB = ["aiohttp>=3.8.4,<4"]
# What the daemon tells Prometheus.
METRICS = ["prometheus-client>=0.16,<1"]
# What speaks with managers over HTTP: oVirt and RHEV-M.
OVIRT = ["aiohttp>=3.9,<4"]
# An independent client for the tests' stand-in of a manager; compiled against libxml2-dev.
OVIRT_SDK = ["ovirt-engine-sdk-python>=4.6"]

# pytest-asyncio rather than anyio: the daemon is an asyncio program and nothing else, so a plugin that runs
# every test on one event loop type, and closes it afterwards, is all the tests need.
TESTS = [
    "pytest>=8.2,<9",
    "pytest-asyncio>=0.24",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "coverage>=7.10",
    "jsonschema>=4.10",
    "build>=1.2",
    "setuptools>=77",
]
LINT = ["ruff>=0.12"]
# mypy sees the own types of lark, click, rich, aiohttp, prometheus_client and parso (cosmic-ray's trees); libvirt's are
# stubs in typings/.
TYPE = [
    "mypy>=1.11",
    "types-setuptools>=77",
    "types-pyserial>=3.5",
    "types-jsonschema>=4.10",
    "lark>=1.1.9,<2",
    "click>=8.1,<9",
    "rich>=13.3,<16",
    "aiohttp>=3.9,<4",
    "prometheus-client>=0.16,<1",
    "parso>=0.8",
]
LAYERS = ["import-linter>=2.0"]
TOOLS = ["tox>=4.20"]
MUTATION = ["cosmic-ray>=8.4"]
# atheris publishes wheels for CPython on x86-64 Linux only; elsewhere the fuzz targets run under hypothesis alone.
FUZZ = ["atheris>=2.3; python_version < '3.14' and sys_platform == 'linux' and platform_machine == 'x86_64'"]


def version() -> str:
    """Return the version written in fencebus_schemas, without importing it."""
    text = (HERE / "schemas" / "fencebus_schemas" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("schemas/fencebus_schemas/__init__.py: no __version__")
    return found.group(1)


def packages() -> list[str]:
    """Return the import packages that exist below the folders, sub-packages included."""
    return [
        name for package, folder in FOLDERS.items() for name in find_packages(folder, include=[package, f"{package}.*"])
    ]


def package_dir() -> dict[str, str]:
    """Return where each existing import package lies, relative to this file."""
    return {
        package: f"{folder}/{package}"
        for package, folder in FOLDERS.items()
        if (HERE / folder / package / "__init__.py").is_file()
    }


def guest_launchers() -> list[str]:
    """Return the guest's launchers: files, not entry points, because their start-up time counts (python3 -IS)."""
    return sorted(str(path.relative_to(HERE)) for path in (HERE / "guest_client" / "bin").glob("fence_*"))


setup(
    name="fencebus",
    version=version(),
    description="Fencing of virtual machines, wire compatible with fence_virt, fence_xvm and fence_virtd",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.9",
    packages=packages(),
    package_dir=package_dir(),
    package_data={
        "": ["py.typed"],
        "fencebus_schemas": ["data/*"],
        "fencebus_host.config": ["*.lark"],
        "fencebus_host.web": ["assets/*"],
    },
    # Not `scripts=`: pip would put the environment's interpreter in their first line and drop -IS.
    data_files=[("bin", guest_launchers())],
    entry_points={
        "console_scripts": [
            "fence_virtd = fencebus_host.launch:main",
            "fence_virtctl = fencebus_host.ctl.__main__:main",
            "fencebus-agentd = fencebus_agent.__main__:main",
            "fencebus_broker = fencebus_broker.__main__:main",
        ]
    },
    extras_require={
        "host": HOST,
        "qmf": QMF,
        "rabbitmq": RABBITMQ,
        "broker": BROKER,
        "serial": SERIAL,
        "web": WEB,
        "metrics": METRICS,
        "ovirt": OVIRT,
        "ovirt-sdk": OVIRT_SDK,
        "tests": TESTS,
        "fuzz": FUZZ,
        "type": TYPE,
        "layers": LAYERS,
        "mutation": MUTATION,
        "dev": [
            *(*HOST, *SERIAL, *QMF, *RABBITMQ, *OVIRT, *WEB, *METRICS),
            *(*TESTS, *FUZZ, *LINT, *TYPE, *LAYERS, *TOOLS, *MUTATION),
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: No Input/Output (Daemon)",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.11",
        "Topic :: System :: Clustering",
    ],
)
