"""The results folder: the only code that reads or writes ``results/``.

    results/probes.json                   the best speed probe of each device, for the gate before a launch
    results/<run id>/run.json             the resolved spec and plan; models, devices, versions, commit
                     measurements.jsonl   one line per cell, flushed to disk as soon as the cell is measured
                     ab.json              the pairs and the verdict of an A/B session
                     replies/             raw replies and outputs of the runners, compressed, named by digest
                     report.html  table.csv  charts/

Nothing is changed in place, so a run can be read at any moment. ``run.json`` is replaced by a rename and
``measurements.jsonl`` only grows. A last line without its line end was cut off by a kill and does not count.
"""
