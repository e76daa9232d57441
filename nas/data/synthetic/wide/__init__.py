"""The wide population: hearts, wrists and sensors drawn far beyond what any one set of recordings shows.

person and sensor are drawn once; scenes makes the programme of a recording; heart and wrist follow it (pulse, motion),
coupling spoils the pulse by the motion, sensor samples both, recording puts it together. Ranges marked "randomized"
have no source: they are wider than anything seen, so that real wrists lie inside (domain randomization, Tobin et al.,
IROS 2017).
"""

from nas.data.synthetic.wide.recording import wide_recording

__all__ = ["wide_recording"]
