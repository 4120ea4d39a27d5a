"""Output of a phone's commands in AOSP's format, reduced to the relevant lines."""

from __future__ import annotations

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 41
  scale: 50
  voltage: 4196
  temperature: 297
  technology: Li-ion
"""

THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=99.0, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=31.6, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
\tTemperature{mValue=0.0, mType=1, mName=GPU, mStatus=0}
\tTemperature{mValue=44.123456, mType=0, mName=cpu 0, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
"""

FOCUS = "  mCurrentFocus=Window{7c0e6b5 u0 com.android.launcher3/com.android.launcher3.Launcher}\n"
