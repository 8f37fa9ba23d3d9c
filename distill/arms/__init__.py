"""Ways of making a small model: one file per arm."""
