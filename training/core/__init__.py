"""What every phase computes with: attention over packed rows, losses, optimisers, schedules, checkpoints."""
