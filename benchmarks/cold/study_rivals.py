"""The same study with scikit-learn under joblib, by a loop over torch, or in Optuna over either.

    python study_rivals.py sklearn|torch|optuna-sklearn|optuna-torch RATES PENALTIES SEEDS EPOCHS [SHARE]

With SHARE below 1 only that share of the settings is run (first of every few); the caller scales.
"""  # noqa: E501 - a command

import json
import sys
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

WORKERS = 2
kind = sys.argv[1]
rates, penalties, seeds, epochs = (int(a) for a in sys.argv[2:6])
share = float(sys.argv[6]) if len(sys.argv) > 6 else 1.0
x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(
    x.astype("float32"), y, test_size=0.2, stratify=y, random_state=0
)
scaler = StandardScaler().fit(x)
x, x_test = scaler.transform(x), scaler.transform(x_test)
settings = [
    (float(r), 10.0**-k) for r in np.geomspace(1e-4, 1e-2, rates) for k in range(2, 2 + penalties)
]
settings = settings[:: round(1 / share)]


def by_sklearn(rate, penalty, seed):
    """Accuracy on the test rows; scikit-learn's penalty is per mini-batch, alpha/2 |w|^2 / n."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (32,), alpha=penalty * 32, batch_size=32, learning_rate_init=rate, max_iter=epochs,
        n_iter_no_change=10**9, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y).score(x_test, y_test)


def by_torch(rate, penalty, seed):
    """Accuracy on the test rows, by the plain loop that people write."""
    import torch

    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    descent = torch.optim.Adam(net.parameters(), lr=rate, weight_decay=penalty, fused=True)
    loss = torch.nn.CrossEntropyLoss()
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(epochs):
        order = torch.randperm(len(tx))
        for rows in order.split(32):
            descent.zero_grad()
            loss(net(tx[rows]), ty[rows]).backward()
            descent.step()
    with torch.no_grad():
        return float((net(torch.from_numpy(x_test)).argmax(1).numpy() == y_test).mean())


def in_optuna(train):
    """A grid search of Optuna; the objective is the median over seeds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = {}

    def objective(trial):
        i = trial.suggest_categorical("setting", list(range(len(settings))))
        found[i] = float(np.median([train(*settings[i], seed) for seed in range(seeds)]))
        return found[i]

    space = {"setting": list(range(len(settings)))}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(space))
    study.optimize(objective, n_jobs=WORKERS)
    return list(found.values())


if kind == "sklearn":
    from joblib import Parallel, delayed

    jobs = [delayed(by_sklearn)(*s, seed) for s in settings for seed in range(seeds)]
    scores = np.reshape(Parallel(n_jobs=WORKERS)(jobs), (len(settings), seeds))
    medians = np.median(scores, axis=1).tolist()
elif kind == "torch":
    medians = [float(np.median([by_torch(*s, seed) for seed in range(seeds)])) for s in settings]
else:
    medians = in_optuna(by_sklearn if kind.endswith("sklearn") else by_torch)
print(json.dumps({"settings": len(settings), "best": max(medians), "worst": min(medians)}))
