"""Many phones for long, unplugged at random: what the tests do for a moment, at length. ``make soak``."""
