"""Redis between the processes: the doorbell that wakes workers, and hints that save waiting. The rows are the truth."""
