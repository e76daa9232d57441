"""Teachers: networks too large for the device, whose beliefs train those that are not."""
