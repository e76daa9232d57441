"""EDF and BDF files, as sleep laboratories write them."""

from nas.data.files.waveforms import find_edf, find_edf_labels, load_edf
from nas.data.loader import Loader

LOADER = Loader(find_edf, load_edf, find_edf_labels)
