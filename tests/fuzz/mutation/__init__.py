"""Other files than a given one: of the message, part by part, so that most still parse; of two messages; and of the bytes."""
