"""Architectures: one file each, a frozen dataclass of options with `build(inputs, classes)`.

`inputs` is the shape of one encoded row, `classes` the number of classes; the module maps
float32 [n, *inputs] to logits [n, K], K = 1 for a yes/no question (see `federated.schema.outputs`).
Code only: weights live in the journal and in MLflow.
"""
