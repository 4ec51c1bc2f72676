"""From a model back into training: its weights under the names that the framework knows."""
