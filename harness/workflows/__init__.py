"""What a user starts: each module composes the stages into one command's work."""
