"""Many devices on one or many hosts: places cells on devices, moves files between hosts, and never loses a result."""
