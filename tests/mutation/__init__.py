"""Changes the deciding modules in every small way there is, and looks whether a test notices."""
