"""Tests with real guests: a kernel, a shell, both clients, and no network unless the test gives them one."""
