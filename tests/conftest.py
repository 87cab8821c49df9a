"""Policy: two CPU devices, strict dtypes, warnings are errors, a compile cache of the tests' own.

All processes of a test run share that cache: half of their time would else go into compiling the
same programs again. It starts empty and is removed at the end.
"""

import atexit
import importlib.metadata
import os
import shutil
import tempfile

# Compiling is most of what the tests do, and the older emitters of JAX 0.10's compiler do it in two
# thirds of the time; later releases do not have them. STEEPEST_TESTS_AS_USED=1 leaves it as it is.
if (
    importlib.metadata.version("jax").startswith("0.10.")
    and "STEEPEST_TESTS_AS_USED" not in os.environ
    and "fusion_emitters" not in os.environ.get("XLA_FLAGS", "")
):
    _flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{_flags} --xla_cpu_use_fusion_emitters=false".strip()
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


@pytest.fixture(autouse=True, scope="module")
def _programs_released():
    """Let go of compiled programs once there are many.

    Each takes a few dozen mappings of memory, of which Linux gives a process 65,530 by default; the
    program for which there are none left ends the process.
    """
    yield
    try:
        with open("/proc/self/maps") as file:
            many = sum(1 for _ in file) > 20_000
    except OSError:
        many = False
    if many:
        from steepest.engine.program import clear_programs

        clear_programs()
