"""Turns a configuration file into checked settings, or into the list of all its problems."""

from fencebus_host.config.load import find, load
from fencebus_host.config.model import Config
from fencebus_host.config.problems import ConfigError, Problem, Severity

__all__ = ["Config", "ConfigError", "Problem", "Severity", "find", "load"]
