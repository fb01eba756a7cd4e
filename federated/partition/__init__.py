"""How rows are cut into hospitals: `assign(labels, hospitals, generator) -> {name: rows}`.

labels: int64 [n], class index. hospitals: str [n], the data's own hospitals, or None.
The result holds every row index once, sorted within each hospital. Raises DataError if the rows
cannot be cut so.
"""
