/* A causal tracker over successive windows: the belief over heart rates is carried from window to window by
   how heart rates move, and multiplied by what the network says of the newest one. Where its estimates rise or
   fall they are led a little, as they lag. Integers only; all that is written lies in the caller's ppgnet_tracker. hwmodels/firmware/tracker.py computes the same. */
#ifndef PPGNET_TRACKER_H
#define PPGNET_TRACKER_H

#include "ppgnet_model.h"
#include "ppgnet_tracker_model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t mean_q8; /* of estimates, the newest weighing half; 0 before the first */
    uint16_t belief[PPGNET_TRACKER_BINS];
} ppgnet_tracker;

/* Forget what was before: at the start, and after a gap in the recording. */
void ppgnet_tracker_reset(ppgnet_tracker *tracker);

/* After ppgnet_run on the next window, 2 s after the last: its logits lie at arena + PPGNET_LOGITS_OFFSET. */
void ppgnet_tracker_update(ppgnet_tracker *tracker, const int8_t *logits, ppgnet_result *result);

#ifdef __cplusplus
}
#endif

#endif
