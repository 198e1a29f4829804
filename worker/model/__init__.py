"""A model's way from a directory to the device: found, examined, loaded, converted. No code from the model is run."""
