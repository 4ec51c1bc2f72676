"""The HTML page, from the JSON document."""
