"""Architectures: one file each, a frozen dataclass of options with `build(inputs, outputs)`.

`inputs` is the shape of one encoded row, `outputs` how many numbers the objective asks of it
(`federated/objectives/`): one for a yes/no question, a value or a hazard, else one a class or
label.
The module maps float32 [n, *inputs] to [n, outputs]. Of a table with many categories the rows keep
codes: then a `Sequential` whose first layer is linear has that one replaced (`federated/coded.py`).
Code only: weights live in the journal and in MLflow.
"""
