"""WFDB records (.hea, .dat), as PhysioNet publishes them."""

from nas.data.files.waveforms import find_wfdb, find_wfdb_parts, load_wfdb
from nas.data.loader import Loader

LOADER = Loader(find_wfdb, load_wfdb, find_wfdb_parts)
