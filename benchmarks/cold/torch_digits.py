"""`steepest train digits` in torch: the same model, rate, epochs and shares of rows."""

import json
import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

epochs = int(sys.argv[1])
x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(
    x.astype("float32"), y, test_size=0.2, stratify=y, random_state=0
)
x, x_held, y, y_held = train_test_split(x, y, test_size=0.125, stratify=y, random_state=0)
mean, deviation = x.mean(0), x.std(0)
deviation[deviation == 0] = 1
x, x_held, x_test = (torch.from_numpy((a - mean) / deviation) for a in (x, x_held, x_test))
y, y_held, y_test = (torch.from_numpy(a) for a in (y, y_held, y_test))

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
criterion = torch.nn.CrossEntropyLoss()
for _ in range(epochs):
    for rows in torch.randperm(len(x)).split(32):
        optimizer.zero_grad()
        criterion(model(x[rows]), y[rows]).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(x, y):
    return (model(x).argmax(1) == y).float().mean().item()


print(json.dumps({"validation": accuracy(x_held, y_held), "test": accuracy(x_test, y_test)}))
