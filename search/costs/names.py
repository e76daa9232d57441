"""The names of costs: of a window, of a streaming step, and of what is minimised where nothing else is asked for."""

COST_NAMES = ("latency_ms", "cycles", "flash_bytes", "peak_ram_bytes", "energy_mj", "power_mw")
STEP_NAMES = ("step_latency_ms", "step_cycles", "step_ram_bytes", "step_energy_mj")
OBJECTIVES = ("error", "latency_ms", "flash_bytes", "peak_ram_bytes")
