"""Layer 6: models in scikit-learn's form, all trained by the engine.

The names are those of `import steepest`; this folder needs scikit-learn, which is imported when the
first of them is used.
"""
