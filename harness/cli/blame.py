"""What is to blame for an error that nothing expected: what the computer lacks, or a bug of ours."""

from __future__ import annotations

from harness.errors import IncompleteError
from harness.system.faults import environment_fault

# Set to anything, it shows where an unexpected error comes from.
DEBUG = "PHONEBENCH_DEBUG"


def blame(error: Exception) -> tuple[str, int]:
    """Return the message and the exit code."""
    fault = environment_fault(error)
    if fault is not None:
        return f"{fault}, and run the command again", IncompleteError.exit_code
    return f"a bug in phonebench: {type(error).__name__}: {error} (set {DEBUG}=1 to see where)", 1
