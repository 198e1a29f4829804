"""What people may ask for about their own data: a copy, erasure, a complaint, an emergency contact."""
