"""Layer 2: the update rules, each as its paper has it, and what wraps them."""
