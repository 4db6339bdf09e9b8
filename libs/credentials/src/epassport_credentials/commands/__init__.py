"""Command lines for people: the only modules here that read files, the clock and the screen."""
