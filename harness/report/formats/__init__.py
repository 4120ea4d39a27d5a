"""Report formats: terminal, HTML, CSV and JSON, one module each."""
