"""Layer 0: records, trees, outcomes, errors. Imports nothing else of steepest."""
