"""A folder of images, one subfolder a class; Pillow is an extra."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter

import numpy as np

from steepest.core.errors import DataError, MissingExtraError
from steepest.data.dataset import Source, Table
from steepest.data.guard import reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "validation")


def image_classes(folder: str) -> dict[str, list[str]]:
    """`{class: paths}` for the subfolders that hold images."""
    found = {}
    for name in sorted(os.listdir(folder)):
        inner = os.path.join(folder, name)
        if os.path.isdir(inner) and not name.startswith("."):
            paths = [
                os.path.join(inner, file)
                for file in sorted(os.listdir(inner))
                if file.lower().endswith(SUFFIXES) and not file.startswith(".")
            ]
            if paths:
                found[name] = paths
    return found


def image_folders(folder: str) -> dict[str, str]:
    """`{"train": folder, "test": folder}` of a folder that is divided so; "train" alone if not."""
    inner = {
        name.lower(): os.path.join(folder, name)
        for name in sorted(os.listdir(folder))
        if os.path.isdir(os.path.join(folder, name))
    }
    train = next((inner[n] for n in _TRAIN if n in inner and image_classes(inner[n])), None)
    if train is None:
        return {"train": folder} if image_classes(folder) else {}
    test = next((inner[n] for n in _TEST if n in inner and image_classes(inner[n])), None)
    return {"train": train} | ({} if test is None else {"test": test})


def load_images(folder: str) -> Table:
    """Images of shape (n, height, width, channels), uint8, with their folders' names as classes.

    Images of other sizes than the most frequent are resized to it, and a note says how many.
    Where all are grey there is one channel, otherwise three.
    """
    folders = image_folders(folder)
    table = _load(folders["train"], folder, None, None)
    if "test" in folders:
        assert table.image_shape is not None
        height, width, channels = table.image_shape
        held = _load(folders["test"], folder, (width, height), channels)
        table = dataclasses.replace(
            table,
            test=held,
            source=Source(folder, table.source.paths + held.source.paths),
        )
    return table


def _load(folder: str, place: str, size: tuple[int, int] | None, channels: int | None) -> Table:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "images", "Reading a folder of images") from None
    classes = image_classes(folder)
    paths = [path for members in classes.values() for path in members]
    labels = np.repeat(list(classes), [len(members) for members in classes.values()])
    opened = []
    for path in paths:
        with reading(path, "an image", "remove the file, or replace it"), Image.open(path) as file:
            grey = file.mode in ("1", "L", "I", "I;16", "F", "LA")
            opened.append((file.size, grey))
    if size is None:
        size = Counter(s for s, _ in opened).most_common(1)[0][0]
    if channels is None:
        channels = 1 if all(grey for _, grey in opened) else 3
    x = np.empty((len(paths), size[1], size[0], channels), np.uint8)
    for i, path in enumerate(paths):
        with reading(path, "an image", "remove the file, or replace it"), Image.open(path) as file:
            image = file.convert("L" if channels == 1 else "RGB")
            if image.size != size:
                image = image.resize(size, Image.Resampling.BILINEAR)
            x[i] = np.asarray(image).reshape(size[1], size[0], channels)
    resized = sum(s != size for s, _ in opened)
    notes = (f"{resized} of {len(paths)} images were resized to {size[0]} x {size[1]}.",)
    if len(classes) < 2:
        raise DataError(
            f"{folder} holds images of one class only ({next(iter(classes))!r}); "
            "give one subfolder for each class."
        )
    return Table(
        x=x,
        y=labels,
        name=os.path.basename(os.path.normpath(place)),
        target="class",
        task="classification",
        image_shape=(size[1], size[0], channels),
        source=Source(place, tuple(paths)),
        notes=notes if resized else (),
    )
