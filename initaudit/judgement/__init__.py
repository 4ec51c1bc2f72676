"""From measurements to what they mean: context, trainability, severity, verdict; and which findings count."""
