"""What monitoring programs read of a daemon: figures in the format of Prometheus."""
