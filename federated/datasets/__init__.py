"""Data sets: `files`, the raw files it depends on (relative to the project), and
`read(project) -> records.Table | records.Images`. Tops of files import only cheap things: all of
them are loaded when params.yaml is checked.
"""
