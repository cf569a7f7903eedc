"""The doors: each listener turns what comes in over one transport into fence requests and answers them."""
