"""Many hosts in one process on a virtual clock: the real pure machines against every fault, with an oracle that sees
the truth and tells no machine.
"""
