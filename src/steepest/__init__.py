"""steepest: gradient descent, whole."""
