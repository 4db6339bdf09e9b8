"""Asks a process of ours, from beside it, whether it is ready; see `__main__`."""
