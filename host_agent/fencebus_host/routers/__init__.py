"""The ways to an owner: each router carries a request to where the target lives and brings back observations."""
