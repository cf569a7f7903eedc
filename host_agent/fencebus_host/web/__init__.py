"""A page that shows a daemon's state as it changes, and acts on nothing."""
