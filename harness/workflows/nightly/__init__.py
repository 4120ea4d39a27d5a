"""The nightly job: measure, add to the history, screen every series, confirm suspected changes, and report.

    night      the order of the steps, and resuming an interrupted night
    screening  the screen of one series
    sessions   all confirmations of a night
    confirm    one suspect artifact against the last good one, side by side
    artifacts  files of past nights, kept for confirmations
    record     the record of a night, which is also its journal
    files      JUnit XML and Markdown

The one decision: the screen only suspects. A job fails only for a change that was measured again, side by side, on the
same device.
"""
