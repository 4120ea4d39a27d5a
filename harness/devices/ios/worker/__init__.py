"""The worker process: everything that imports pymobiledevice3. It speaks JSON lines and knows nothing of phonebench."""
