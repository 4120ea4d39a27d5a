"""The energy counters of a phone during a launch: its power rails or its battery, read by the phone's own tracer."""
