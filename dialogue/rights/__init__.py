"""What people may request: a copy of their data, its erasure, a complaint, an emergency contact."""
