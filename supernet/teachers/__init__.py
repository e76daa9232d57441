"""Teachers: networks too large for the device, whose beliefs train those that are not."""

from supernet.teachers.resnet import ResNet

__all__ = ["ResNet"]
