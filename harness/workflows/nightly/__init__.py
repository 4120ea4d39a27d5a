"""The nightly job: run, enter, screen every series, confirm what is suspected, say what is so.

    night      the order of it all, and going on where a night was stopped
    screening  the screen over one series
    confirm    a suspect artifact against the last good one, side by side
    record     the native record, which is the journal too
    files      JUnit XML and Markdown

The one decision: the screen only suspects. A job fails for what was measured again, side by side, on the same device.
"""
