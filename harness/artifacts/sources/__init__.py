"""What exporters start from: the prepared float model, the variant's network and the calibration inputs."""
