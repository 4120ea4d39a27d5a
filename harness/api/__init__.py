"""phonebench for scripts and notebooks. `harness` hands the public names on."""
