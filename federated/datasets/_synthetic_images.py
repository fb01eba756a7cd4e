"""Made-up images: a template a class, a brightness a hospital, and noise.

A template is coarse, squares of 4×4 pixels ~ N(0, 1), so that a small convolution learns it. A
pixel is 128 + 40·template + 20·brightness_h + 60·ε, ε ~ N(0, 1), rounded and cut to 0 … 255. One
image in ten shows the template of a class at random, so no model is right about all of them: of 10
classes, at most about 91 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SQUARE = 4
_MIDDLE, _CONTRAST, _BRIGHTNESS, _NOISE = 128.0, 40.0, 20.0, 60.0
_ASTRAY = 0.1
_CHUNK = 4096


def classes_of(
    generator: np.random.Generator, owner: NDArray[np.int64], classes: int, label_shift: float
) -> NDArray[np.int64]:
    """The class of each row, int64 [n]: P(class | h) ∝ exp(label_shift·N(0, 1)).

    owner: the hospital of each row, int64 [n], counted from 0 and sorted.
    """
    scores = label_shift * generator.standard_normal((int(owner[-1]) + 1, classes))
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    upto = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)[owner]
    drawn = (generator.random(len(owner))[:, None] >= upto).sum(axis=1)
    found: NDArray[np.int64] = np.minimum(drawn, classes - 1)  # rounding may leave upto below 1
    return found


def pixels_of(
    generator: np.random.Generator,
    labels: NDArray[np.int64],
    brightness: NDArray[np.float64],
    shape: tuple[int, int, int],
    classes: int,
) -> NDArray[np.uint8]:
    """uint8 [n, c, h, w]; brightness: float64 [n], its hospital's, of each image."""
    templates = _templates(generator, shape, classes)
    astray = generator.random(len(labels)) < _ASTRAY
    shown = np.where(astray, generator.integers(classes, size=len(labels)), labels)
    pixels = np.empty((len(labels), *shape), dtype=np.uint8)
    for begin in range(0, len(labels), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        noise = generator.standard_normal((len(shown[part]), *shape), dtype=np.float32)
        light = _MIDDLE + _BRIGHTNESS * brightness[part, None, None, None].astype(np.float32)
        values = light + _CONTRAST * templates[shown[part]] + _NOISE * noise
        pixels[part] = np.rint(values).clip(0, 255)
    return pixels


def _templates(
    generator: np.random.Generator, shape: tuple[int, int, int], classes: int
) -> NDArray[np.float32]:
    """float32 [classes, c, h, w]."""
    channels, height, width = shape
    coarse = (classes, channels, -(-height // _SQUARE), -(-width // _SQUARE))
    squares = generator.standard_normal(coarse, dtype=np.float32)
    whole = squares.repeat(_SQUARE, axis=2).repeat(_SQUARE, axis=3)
    return whole[:, :, :height, :width]
