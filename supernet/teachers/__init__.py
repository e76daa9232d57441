"""Teachers: networks too large for the device, whose beliefs train those that are not."""

from supernet.teachers.ensemble import Ensemble
from supernet.teachers.recurrent import ConvolutionalRecurrent
from supernet.teachers.resnet import ResNet
from supernet.teachers.spectral import SpectralNetwork
from supernet.teachers.teacher_kinds import TEACHERS, TeacherInput, TeacherKind, TeacherNetwork
from supernet.teachers.transformer import PatchTransformer

__all__ = [
    "TEACHERS",
    "ConvolutionalRecurrent",
    "Ensemble",
    "PatchTransformer",
    "ResNet",
    "SpectralNetwork",
    "TeacherInput",
    "TeacherKind",
    "TeacherNetwork",
]
