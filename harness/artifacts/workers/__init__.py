"""The worker processes that build artifacts, and the schedule of their tasks."""
