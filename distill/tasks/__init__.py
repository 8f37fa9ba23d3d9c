"""What is learnt: one file per task."""
