"""The programs that run on devices, and how they are built."""
