"""Layer 5: why a run went as it did, measured, and what would cure it."""
