"""What a user starts: each module puts the stages together into the work of one command."""
