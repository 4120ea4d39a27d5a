// The module has declarations only.
