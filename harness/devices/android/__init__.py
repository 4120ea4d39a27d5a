"""Device kind ``android``: phones over adb."""
