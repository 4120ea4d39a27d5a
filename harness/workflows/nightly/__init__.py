"""The nightly job: measure, add to the history, screen every series, confirm suspected changes, and report.

    night      the order of the steps, and resuming an interrupted night
    judging    all statistics of a night, and for which series they failed
    common     shifts that many series share
    screening  the screen of one series
    agenda     what to compare side by side, in which order
    sessions   all comparisons of a night, within its budget
    confirm    one artifact against another, side by side
    outcomes   what the comparisons mean: states, decisions, what stays open
    baseline   the pinned run or file that every night is compared with
    quarantine devices that fail night after night
    usage      what a night cost on each device
    artifacts  files of past nights, kept for comparisons
    record     the record of a night, which is also its journal
    files      JUnit XML and Markdown
    device_words what both say about devices

The one decision: the screen only suspects. A job fails only for a change that was measured again, side by side, on the
same device.
"""
