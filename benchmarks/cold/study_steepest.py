"""Learning rates x penalties x seeds on the digits as one study; prints the median accuracies."""

import json
import resource
import sys

from steepest import Study

rates, penalties, seeds, epochs = (int(a) for a in sys.argv[1:5])
study = Study(
    "digits",
    vary={
        "learning_rate": f"1e-4:1e-2:log{rates}",
        "l2": [10.0**-k for k in range(2, 2 + penalties)],
    },
    fixed={
        "hidden": (32,), "optimizer": "adam", "batch_size": 32, "epochs": epochs,
        "validation": 0, "test": 0.2,
    },
    seeds=seeds,
    metric="test_accuracy",
)  # fmt: skip
table = study.run(records=32).summary()
print(
    json.dumps({
        "runs": study.plan.runs, "best": table["median"][0], "worst": table["median"][-1],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    })
)  # fmt: skip
