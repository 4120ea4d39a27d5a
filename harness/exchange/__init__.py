"""Other programs' result formats: what phonebench writes in them, and what it reads from them."""
