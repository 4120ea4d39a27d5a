"""What an exporter starts from: the prepared float model, the variant's network and the calibration inputs."""
