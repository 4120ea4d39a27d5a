"""What a stored run looks like to people and to scripts: the page, the terminal, JSON, CSV and charts.

    view        one view per cell: plan, holes and measurements joined
    ranking     what to ship, and the front of quality against latency
    footnotes   what each condition means, and which figures it touches
    sections/   one module per section: what the page, the terminal and the JSON show of it
    charts/     one module per kind of chart
    formats/    page, terminal, JSON and CSV; each walks the sections and knows none of them

Everything here turns a `harness.store.records.RunRecord` into text; only `files` writes, and nothing prints.
"""
