"""Reads damaged and hostile files: every reader of what somebody else wrote must refuse them with its own error."""
