"""Where options come from, which source wins, and which options hold for which model.

Later wins: defaults, then `[tool.initaudit]` in the nearest pyproject.toml or the nearest initaudit.toml (going up from the
working directory), then what that file says of the model under `files`, then environment variables `INITAUDIT_<OPTION>`, then
the command line. What is a list of exceptions or a table (`ADDING`) adds up over the sources.
"""
