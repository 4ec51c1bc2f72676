"""What to do about a finding, as code: in PyTorch, in Keras, and for someone who has nothing but the file."""
