"""Device kind ``fake``: scripted phones, for trying phonebench out and for tests."""
