"""Scripts that a person would write to train on the digits, timed as whole processes."""
