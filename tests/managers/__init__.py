"""A stand-in for an oVirt engine, and the independent clients that judge it."""
