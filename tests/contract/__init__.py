"""One suite for every driver of a port: the fakes are held to what the real ones do."""
