"""What the operating system offers: files, paths, packages, child processes, scratch folders and the clock."""
