"""What will run: cells, and holes with their reasons."""
