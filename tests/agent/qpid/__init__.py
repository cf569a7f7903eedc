"""The released qpid-python and qpid-tools, under Python 2.7, on the agents of the tests."""
