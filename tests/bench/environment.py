"""Keep every library on one thread. Import this before any of them.

Also: no log lines of the XLA compiler, and solver failures as values that are not finite
(`EQX_ON_ERROR`), which is the faster way and the one that a sampler can use.
"""

import os

os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    NUMBA_NUM_THREADS="1",
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    TF_CPP_MIN_LOG_LEVEL="3",
    EQX_ON_ERROR="nan",
    JAX_PLATFORMS="cpu",
)
