"""Decides, without input or output, what hosts that know each other do about a fence: events in, effects out."""
