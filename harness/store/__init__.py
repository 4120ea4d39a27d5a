"""The results folder: the only code that reads or writes ``results/``.

    results/probes.json                   the best speed probe of each device, for the gate before a launch
    results/<run id>/run.json             what was asked, resolved; models, devices, versions, commit
                     measurements.jsonl   one line a cell, flushed to disk as soon as it is known
                     ab.json              the pairs and the verdict, of a comparison in one session
                     replies/             raw replies and outputs of the runners, compressed, by digest
                     report.html  table.csv  charts/

Nothing is ever changed in place. ``run.json`` is replaced by rename, ``measurements.jsonl`` only
grows, a line without its line end was cut off by a kill and does not count; so a run is readable at any instant.
"""
