"""iPhones and iPads. A worker process in an environment of its own is the only one that imports pymobiledevice3."""
