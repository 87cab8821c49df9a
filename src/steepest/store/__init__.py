"""Layer 5: what is kept on disk. Nothing that is read is ever executed."""
