/* Adapting an exported network to its wearer, on the device: the features before the last layer are weighed
   anew, from about five minutes of windows, one every 2 s, whose heart rate is known. Integers only, so that every machine
   learns the same; nothing is allocated, and all that is written lies in the caller's ppgnet_personal. */
#ifndef PPGNET_PERSONAL_H
#define PPGNET_PERSONAL_H

#include "ppgnet_kernels.h"
#include "ppgnet_personal_model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PPGNET_PERSONAL_DONE = 0,
    PPGNET_PERSONAL_FULL = 1,         /* PPGNET_PERSONAL_WINDOWS are kept; train or reset */
    PPGNET_PERSONAL_OUT_OF_RANGE = 2, /* a heart rate outside of the network's bins */
    PPGNET_PERSONAL_TOO_FEW = 3       /* fewer than PPGNET_PERSONAL_FEWEST windows were given */
} ppgnet_personal_status;

/* One wearer: windows to learn from, the state of learning, and the last layer's own weights. */
typedef struct {
    uint32_t given; /* windows, of which one in PPGNET_PERSONAL_EVERY is kept */
    uint32_t kept_iteration; /* the iteration whose gains were kept; 0 means: as exported */
    uint32_t count; /* windows kept */
    uint32_t started;
    int32_t heart_rate_q8[PPGNET_PERSONAL_WINDOWS];
    int32_t gain_q16[PPGNET_PERSONAL_CHANNELS], kept_q16[PPGNET_PERSONAL_CHANNELS];
    int32_t velocity[PPGNET_PERSONAL_CHANNELS], gradient[PPGNET_PERSONAL_CHANNELS];
    int32_t error_q15[PPGNET_PERSONAL_BINS];
    int8_t features[PPGNET_PERSONAL_WINDOWS][PPGNET_PERSONAL_ROWS * PPGNET_PERSONAL_CHANNELS]
        __attribute__((aligned(4)));
    int8_t weight[PPGNET_PERSONAL_OUTPUTS * PPGNET_PERSONAL_CHANNELS] __attribute__((aligned(4)));
    int8_t logits[PPGNET_PERSONAL_BINS] __attribute__((aligned(4)));
    int8_t made[PPGNET_PERSONAL_ROWS * PPGNET_PERSONAL_OUTPUTS] __attribute__((aligned(4)));
    uint8_t position[PPGNET_PERSONAL_WINDOWS][PPGNET_PERSONAL_ROWS];
} ppgnet_personal;

/* Forget the wearer: no windows, the weights as exported. */
void ppgnet_personal_reset(ppgnet_personal *personal);

/* Take one int8 window and its heart rate in 1/256 BPM. The arena is the network's. */
ppgnet_personal_status ppgnet_personal_add(
    ppgnet_personal *personal, int8_t *arena, const int8_t *input, int32_t heart_rate_q8);

/* Learn from the windows kept. Gains that do not lower the error on the third of the time that learning does
   not see are not kept, so that an unfit calibration leaves the network as it was. */
ppgnet_personal_status ppgnet_personal_train(ppgnet_personal *personal);

/* As ppgnet_run, with the wearer's weights; and where a heart rate is given (not 0), as ppgnet_personal_add too,
   whose status is returned. The result is made in any case. */
ppgnet_personal_status ppgnet_personal_run(ppgnet_personal *personal, int8_t *arena, const int8_t *input,
    int32_t heart_rate_q8, ppgnet_result *result);

/* 1 when ppgnet_personal_reset was called. */
int ppgnet_personal_is_started(const ppgnet_personal *personal);

#ifdef __cplusplus
}
#endif

#endif
