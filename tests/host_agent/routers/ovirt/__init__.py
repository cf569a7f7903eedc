"""What decides about managers, without one."""
