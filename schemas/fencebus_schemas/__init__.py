"""The contracts of fencebus: values and codecs that every other part imports; pure, standard library only."""

__version__ = "0.1.0"
