"""Policy: two CPU devices, strict dtypes, warnings are errors, a compile cache of the tests' own.

All processes of a test run share that cache: half of their time would else go into compiling the
same programs again. It starts empty and is removed at the end.
"""

import atexit
import os
import shutil
import tempfile

if "STEEPEST_CACHE" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="steepest-tests-")
    os.environ["STEEPEST_CACHE"] = _cache
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("NO_COLOR", "1")

import hypothesis
import jax
import pytest

# The same examples in every run, and no verdict that depends on how busy the machine is.
hypothesis.settings.register_profile(
    "steepest",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("steepest")

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield
