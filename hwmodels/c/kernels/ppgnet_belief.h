/* The belief in a logit some steps below the largest, for heads and for learning. */
#ifndef PPGNET_BELIEF_H
#define PPGNET_BELIEF_H

#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

PPGNET_INLINE uint32_t ppgnet_belief_in(const ppgnet_belief *belief, int32_t below)
{
    return ((uint32_t)belief->coarse[below >> 4] * belief->fine[below & 15] + (1u << 14)) >> 15;
}

#endif
