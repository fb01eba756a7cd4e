"""The mathematics of federated learning: tensors in, tensors out.

Nothing here imports prefect, mlflow, dvc, flows or tasks; a test parses the imports.
"""
