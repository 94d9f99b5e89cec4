"""What judges and people say of answers."""
