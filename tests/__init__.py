"""The tests of fencebus; the folders mirror the packages."""
