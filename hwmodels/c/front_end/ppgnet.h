/* Heart rate from the samples of a wrist sensor: the one header that firmware includes.

   Give the context of one wearer as an aligned ppgnet of your own, push samples as the sensors deliver them, and
   ask for a reading when one is ready:

       static ppgnet wearer;
       ppgnet_init(&wearer, PPGNET_DECLARED_SENSORS, sizeof wearer);
       ...
       ppgnet_push_ppg(&wearer, samples, frames);
       ppgnet_push_acc(&wearer, axes, frames);
       if (ppgnet_ready(&wearer) && ppgnet_estimate(&wearer, &reading) == PPGNET_OK && reading.invalid == 0)
           show((reading.estimate + 128) / 256);

   Nothing is allocated, nothing is global, no function keeps a pointer: calls on different contexts may run at
   the same time, calls on one may not. Every refusal leaves the context as it was. */
#ifndef PPGNET_H
#define PPGNET_H

#include "ppgnet_front_model.h"
#include "ppgnet_model.h"
#if PPGNET_HAS_TRACKER
#include "ppgnet_tracker.h"
#endif
#if PPGNET_HAS_PERSONAL
#include "ppgnet_personal.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PPGNET_OK = 0,
    PPGNET_ERROR_NULL = 1,      /* a pointer is null */
    PPGNET_ERROR_ALIGNMENT = 2, /* the context lies on no word boundary, or samples on no even address */
    PPGNET_ERROR_SIZE = 3,      /* the caller's context is of another size: headers and library differ */
    PPGNET_ERROR_SENSORS = 4,   /* other sensors than the bundle was made for, or none of this kind */
    PPGNET_ERROR_STARTED = 5,   /* ppgnet_init was not called, or the context was overwritten */
    PPGNET_ERROR_COUNT = 6,     /* no frames, or more than PPGNET_MOST_.._FRAMES at once */
    PPGNET_ERROR_RANGE = 7,     /* a sample outside of what the sensor was declared to give */
    PPGNET_ERROR_OVERRUN = 8,   /* no room: collect the reading first, or the other sensor has stopped */
    PPGNET_ERROR_NOT_READY = 9  /* not enough samples for a reading */
} ppgnet_status;

/* Why a reading is not to be trusted; 0 when it is. */
enum {
    PPGNET_INVALID_UNCERTAIN = 1,   /* the network's expected error, or a class's probability, misses its limit */
    PPGNET_INVALID_FLAT = 2,        /* the pulse moves by less than a count */
    PPGNET_INVALID_SATURATED = 4,   /* too many samples at an end of the light sensor's range */
    PPGNET_INVALID_CONTACT = 8,     /* too many samples outside of the levels declared for skin */
    PPGNET_INVALID_MOTION = 16,     /* too many samples at an end of the accelerometer's range */
    PPGNET_INVALID_NO_SAMPLES = 32  /* not enough samples: the reading holds nothing */
};

/* Heart rate networks: estimate and expected error in 1/256 BPM. Rhythm networks: index of the class, and its
   probability in 1/32768. */
typedef struct {
    int32_t estimate, confidence;
    uint32_t invalid;
} ppgnet_reading;

/* What a resampler remembers of time: where the next output lies, and where the newest input is kept. */
typedef struct {
    int32_t position;
    uint16_t newest;
    uint16_t has_begun;
} ppgnet_clock;

/* Everything of one wearer. Its members are the library's own. */
typedef struct {
    uint32_t started;
    int8_t arena[PPGNET_ARENA_BYTES] __attribute__((aligned(4)));
    ppgnet_clock ppg_clock, thin_clock;
    int32_t ppg_history[PPGNET_PPG_CHANNELS][2 * PPGNET_PPG_TAPS];
    int32_t level[PPGNET_PPG_CHANNELS];
    int32_t filter[PPGNET_PPG_CHANNELS][2 * PPGNET_SECTIONS + 2];
    int32_t thin_history[PPGNET_PPG_CHANNELS][2 * PPGNET_THIN_TAPS];
    float pulse[PPGNET_PPG_CHANNELS][PPGNET_HELD_SAMPLES];
    uint32_t pulse_held;
    uint8_t pulse_marks[PPGNET_HELD_SAMPLES];
    uint8_t pulse_mark;
#if PPGNET_PPG_CHANNELS > 1
    float combined[PPGNET_WINDOW_SAMPLES];
#endif
#if PPGNET_AXES
    uint8_t motion_mark;
    uint8_t motion_marks[PPGNET_HELD_SAMPLES];
    ppgnet_clock acc_clock;
    int32_t acc_history[PPGNET_AXES][2 * PPGNET_ACC_TAPS];
    float motion[PPGNET_HELD_SAMPLES][PPGNET_AXES];
    uint32_t motion_held;
#endif
#if PPGNET_STREAMING
    uint32_t is_running;
    int8_t window[PPGNET_WINDOW_SAMPLES * PPGNET_CHANNELS] __attribute__((aligned(4)));
#endif
#if PPGNET_HAS_TRACKER
    ppgnet_tracker tracker;
#endif
} ppgnet;

/* sizeof(ppgnet), as the library was built. */
extern const uint32_t ppgnet_context_bytes;

/* Start a wearer. `sensors` is what delivers the samples and must be what this bundle was made for; `bytes` is
   sizeof(ppgnet) as the caller sees it. */
ppgnet_status ppgnet_init(ppgnet *context, const ppgnet_sensors *sensors, uint32_t bytes);

/* Forget all samples, and what the network remembers of windows before: after a gap in the recording, or when the
   watch was put on again. */
ppgnet_status ppgnet_restart(ppgnet *context);

/* Up to PPGNET_MOST_PPG_FRAMES frames of PPGNET_PPG_CHANNELS samples each, the oldest first. */
ppgnet_status ppgnet_push_ppg(ppgnet *context, const int16_t *samples, uint32_t frames);

/* Up to PPGNET_MOST_ACC_FRAMES frames of x, y, z. PPGNET_ERROR_SENSORS when the network reads PPG alone. */
ppgnet_status ppgnet_push_acc(ppgnet *context, const int16_t *samples, uint32_t frames);

/* 1 when a whole window is there: the first after PPGNET_WINDOW_SAMPLES samples of the network's rate, then after
   every PPGNET_STEP_SAMPLES; else 0, also for a context that was never started. */
int ppgnet_ready(const ppgnet *context);

/* The reading of the oldest whole window, which is then given up. */
ppgnet_status ppgnet_estimate(ppgnet *context, ppgnet_reading *reading);

#if PPGNET_HAS_PERSONAL
/* As ppgnet_estimate, with the weights that `personal` learnt of the wearer. A heart rate known from elsewhere, in
   1/256 BPM, makes the window one to learn from, if nothing is wrong with it and there is room; 0 where none is
   known. After some minutes of those call ppgnet_personal_train, which takes a second or two.
   PPGNET_ERROR_STARTED before ppgnet_personal_reset, PPGNET_ERROR_RANGE for a heart rate outside of the bins. */
ppgnet_status ppgnet_estimate_personal(
    ppgnet *context, ppgnet_personal *personal, int32_t heart_rate_q8, ppgnet_reading *reading);
#endif

#if PPGNET_HAS_TRACKER
/* After each ppgnet_estimate: what the readings so far say together, in place of what the last one said alone.
   Windows that the sensors spoilt move the belief, but add nothing to it. */
ppgnet_status ppgnet_track(ppgnet *context, ppgnet_reading *reading);
#endif

#ifdef __cplusplus
}
#endif

#endif
