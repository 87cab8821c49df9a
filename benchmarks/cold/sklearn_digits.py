"""`steepest train digits` in scikit-learn: the same model, rate, epochs and shares of rows."""

import json
import sys
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

epochs = int(sys.argv[1])
x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(
    x.astype("float32"), y, test_size=0.2, stratify=y, random_state=0
)
x, x_held, y, y_held = train_test_split(x, y, test_size=0.125, stratify=y, random_state=0)
scaler = StandardScaler().fit(x)
model = MLPClassifier(
    hidden_layer_sizes=(128,),
    alpha=0.0,
    batch_size=32,
    learning_rate_init=1e-3,
    max_iter=epochs,
    n_iter_no_change=10**9,
    random_state=0,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    model.fit(scaler.transform(x), y)
print(
    json.dumps(
        {
            "validation": model.score(scaler.transform(x_held), y_held),
            "test": model.score(scaler.transform(x_test), y_test),
        }
    )
)
