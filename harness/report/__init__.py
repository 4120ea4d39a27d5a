"""What a stored run looks like to people and to scripts: terminal table, JSON, CSV, charts and the HTML report.

Everything here turns a `harness.store.RunRecord` into text or renderables; nothing is measured, printed or written.
"""
