"""Layer 5: what people look at. Reads a `Trace` or paths; never reaches into the loop."""
