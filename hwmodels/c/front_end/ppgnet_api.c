/* From sensor samples to readings: resampling and band-pass in integers, windows, verdicts. What is computed is
   said in hwmodels/firmware/front_end.py, which computes the same. */
#include "ppgnet.h"
#include "ppgnet_shim.h"

#include <stddef.h>

enum { STARTED = 0x50504731, AT_END = 1, OFF_SKIN = 2, ONE_COUNT_BITS = 8, SECTION_BITS = 29 };

#define SETTINGS (&ppgnet_front_constants)

const uint32_t ppgnet_context_bytes = sizeof(ppgnet);

static ppgnet_status check(const ppgnet *context)
{
    if (context == NULL)
        return PPGNET_ERROR_NULL;
    if ((uintptr_t)context % 4 != 0)
        return PPGNET_ERROR_ALIGNMENT;
    return context->started == STARTED ? PPGNET_OK : PPGNET_ERROR_STARTED;
}

static ppgnet_status check_samples(
    const int16_t *samples, uint32_t frames, uint32_t channels, uint32_t most, const ppgnet_range *range)
{
    if (samples == NULL)
        return PPGNET_ERROR_NULL;
    if ((uintptr_t)samples % 2 != 0)
        return PPGNET_ERROR_ALIGNMENT;
    if (frames == 0 || frames > most)
        return PPGNET_ERROR_COUNT;
    for (uint32_t index = 0; index < frames * channels; index++)
        if (samples[index] < range->lowest || samples[index] > range->highest)
            return PPGNET_ERROR_RANGE;
    return PPGNET_OK;
}

static uint8_t mark_of(const int16_t *frame, uint32_t channels, const ppgnet_range *range)
{
    uint32_t mark = 0;
    for (uint32_t channel = 0; channel < channels; channel++) {
        if (frame[channel] == range->lowest || frame[channel] == range->highest)
            mark |= AT_END;
        if (frame[channel] < range->contact_lowest || frame[channel] > range->contact_highest)
            mark |= OFF_SKIN;
    }
    return (uint8_t)mark;
}

/* How many outputs `inputs` more inputs bring. */
static uint32_t outputs(const ppgnet_resampler *filter, const ppgnet_clock *clock, uint32_t inputs)
{
    int32_t reach = (int32_t)(inputs * filter->up) + filter->up - clock->position;
    return reach <= 0 ? 0 : ((uint32_t)reach + filter->down - 1) / filter->down;
}

static void start(const ppgnet_resampler *filter, ppgnet_clock *clock)
{
    clock->position = filter->half + filter->up;
    clock->newest = 0;
    clock->has_begun = 0;
}

/* One more input is to come: its place in the history. */
static void advance(const ppgnet_resampler *filter, ppgnet_clock *clock)
{
    clock->newest = clock->newest + 1 == filter->taps ? 0 : (uint16_t)(clock->newest + 1);
    clock->position -= filter->up;
}

/* Every input is held twice, so that the last `taps` of them lie side by side wherever the newest one is. The
   first one stands for all before it. */
static void remember(const ppgnet_resampler *filter, const ppgnet_clock *clock, int32_t *history, int32_t input)
{
    if (clock->has_begun) {
        history[clock->newest] = history[clock->newest + filter->taps] = input;
        return;
    }
    for (uint32_t tap = 0; tap < 2u * filter->taps; tap++)
        history[tap] = input;
}

/* The output that is due. Inputs are taken relative to the one in the middle, so that a constant passes
   unchanged whatever the coefficients of a phase add up to. */
static int32_t resampled(const ppgnet_resampler *filter, const ppgnet_clock *clock, const int32_t *history)
{
    const int32_t *input = history + clock->newest + filter->taps;
    const int16_t *coefficient = filter->coefficients + clock->position;
    uint32_t up = filter->up, rising = (uint32_t)(filter->half - clock->position) / up + 1;
    int32_t middle = input[1 - (int32_t)rising];
    int64_t sum = 0;
    for (uint32_t tap = 0; tap < rising; tap++, coefficient += up)
        sum += (int64_t)(*input-- - middle) * *coefficient;
    /* The other half is the first one backwards. */
    int32_t at = 2 * filter->half - (clock->position + (int32_t)(rising * up));
    for (; at >= 0; at -= (int32_t)up)
        sum += (int64_t)(*input-- - middle) * filter->coefficients[at];
    uint32_t shift = (uint32_t)filter->shift - filter->gain_bits;
    return (int32_t)(middle * ((int32_t)1 << filter->gain_bits) + ((sum + ((int64_t)1 << (shift - 1))) >> shift));
}

/* Sections in direct form I, each of which keeps its last two inputs; the last two outputs lie at the end. */
static int32_t band_passed(int32_t *state, int32_t input)
{
    const int32_t *section = SETTINGS->sections;
    for (uint32_t count = 0; count < PPGNET_SECTIONS; count++, section += 5, state += 2) {
        int64_t sum = (int64_t)section[0] * input + (int64_t)section[1] * state[0] + (int64_t)section[2] * state[1]
            + (int64_t)section[3] * state[2] + (int64_t)section[4] * state[3];
        state[1] = state[0];
        state[0] = input;
        input = (int32_t)((sum + ((int64_t)1 << (SECTION_BITS - 1))) >> SECTION_BITS);
    }
    state[1] = state[0];
    state[0] = input;
    return input;
}

static void hold_pulse(ppgnet *context)
{
    uint32_t at = context->pulse_held++;
    for (uint32_t channel = 0; channel < PPGNET_PPG_CHANNELS; channel++)
        context->pulse[channel][at] =
            (float)resampled(&SETTINGS->thin, &context->thin_clock, context->thin_history[channel]);
    context->pulse_marks[at] = context->pulse_mark;
    context->pulse_mark = 0;
}

static void take_pulse(ppgnet *context, const int16_t *frame)
{
    const ppgnet_resampler *filter = &SETTINGS->ppg, *thin = &SETTINGS->thin;
    ppgnet_clock *clock = &context->ppg_clock, *thin_clock = &context->thin_clock;
    context->pulse_mark |= mark_of(frame, PPGNET_PPG_CHANNELS, &SETTINGS->ppg_range);
    advance(filter, clock);
    for (uint32_t channel = 0; channel < PPGNET_PPG_CHANNELS; channel++)
        remember(filter, clock, context->ppg_history[channel], frame[channel]);
    clock->has_begun = 1;
    for (; clock->position < filter->up; clock->position += filter->down) {
        advance(thin, thin_clock);
        for (uint32_t channel = 0; channel < PPGNET_PPG_CHANNELS; channel++) {
            int32_t value = resampled(filter, clock, context->ppg_history[channel]);
            /* The band-pass starts settled on the first level: its answer to a constant is zero. */
            if (!thin_clock->has_begun)
                context->level[channel] = value;
            value = band_passed(context->filter[channel], value - context->level[channel]);
            remember(thin, thin_clock, context->thin_history[channel], value);
        }
        thin_clock->has_begun = 1;
        for (; thin_clock->position < thin->up; thin_clock->position += thin->down)
            hold_pulse(context);
    }
}

ppgnet_status ppgnet_push_ppg(ppgnet *context, const int16_t *samples, uint32_t frames)
{
    ppgnet_status status = check(context);
    if (status != PPGNET_OK)
        return status;
    status = check_samples(
        samples, frames, PPGNET_PPG_CHANNELS, PPGNET_MOST_PPG_FRAMES, &SETTINGS->ppg_range);
    if (status != PPGNET_OK)
        return status;
    uint32_t filtered = outputs(&SETTINGS->ppg, &context->ppg_clock, frames);
    if (context->pulse_held + outputs(&SETTINGS->thin, &context->thin_clock, filtered) > PPGNET_HELD_SAMPLES)
        return PPGNET_ERROR_OVERRUN;
    for (uint32_t frame = 0; frame < frames; frame++)
        take_pulse(context, samples + frame * PPGNET_PPG_CHANNELS);
    return PPGNET_OK;
}

#if PPGNET_AXES

static void take_motion(ppgnet *context, const int16_t *frame)
{
    const ppgnet_resampler *filter = &SETTINGS->acc;
    ppgnet_clock *clock = &context->acc_clock;
    context->motion_mark |= mark_of(frame, PPGNET_AXES, &SETTINGS->acc_range) & AT_END;
    advance(filter, clock);
    for (uint32_t axis = 0; axis < PPGNET_AXES; axis++)
        remember(filter, clock, context->acc_history[axis], frame[axis]);
    clock->has_begun = 1;
    for (; clock->position < filter->up; clock->position += filter->down) {
        uint32_t at = context->motion_held++;
        for (uint32_t axis = 0; axis < PPGNET_AXES; axis++)
            context->motion[at][axis] =
                (float)resampled(filter, clock, context->acc_history[axis]) * SETTINGS->acc_unit;
        context->motion_marks[at] = context->motion_mark;
        context->motion_mark = 0;
    }
}

ppgnet_status ppgnet_push_acc(ppgnet *context, const int16_t *samples, uint32_t frames)
{
    ppgnet_status status = check(context);
    if (status != PPGNET_OK)
        return status;
    status = check_samples(samples, frames, PPGNET_AXES, PPGNET_MOST_ACC_FRAMES, &SETTINGS->acc_range);
    if (status != PPGNET_OK)
        return status;
    if (context->motion_held + outputs(&SETTINGS->acc, &context->acc_clock, frames) > PPGNET_HELD_SAMPLES)
        return PPGNET_ERROR_OVERRUN;
    for (uint32_t frame = 0; frame < frames; frame++)
        take_motion(context, samples + frame * PPGNET_AXES);
    return PPGNET_OK;
}

#else

ppgnet_status ppgnet_push_acc(ppgnet *context, const int16_t *samples, uint32_t frames)
{
    (void)samples;
    (void)frames;
    ppgnet_status status = check(context);
    return status == PPGNET_OK ? PPGNET_ERROR_SENSORS : status;
}

#endif

ppgnet_status ppgnet_restart(ppgnet *context)
{
    ppgnet_status status = check(context);
    if (status != PPGNET_OK)
        return status;
    start(&SETTINGS->ppg, &context->ppg_clock);
    start(&SETTINGS->thin, &context->thin_clock);
    for (uint32_t channel = 0; channel < PPGNET_PPG_CHANNELS; channel++)
        for (uint32_t index = 0; index < 2 * PPGNET_SECTIONS + 2; index++)
            context->filter[channel][index] = 0;
    context->pulse_held = 0;
    context->pulse_mark = 0;
#if PPGNET_AXES
    start(&SETTINGS->acc, &context->acc_clock);
    context->motion_held = 0;
    context->motion_mark = 0;
#endif
#if PPGNET_STREAMING
    context->is_running = 0;
#endif
#if PPGNET_HAS_CONTEXT
    ppgnet_stream_reset(context->arena);
#endif
#if PPGNET_HAS_TRACKER
    ppgnet_tracker_reset(&context->tracker);
#endif
    return PPGNET_OK;
}

ppgnet_status ppgnet_init(ppgnet *context, const ppgnet_sensors *sensors, uint32_t bytes)
{
    if (context == NULL || sensors == NULL)
        return PPGNET_ERROR_NULL;
    if ((uintptr_t)context % 4 != 0)
        return PPGNET_ERROR_ALIGNMENT;
    if (bytes != sizeof(ppgnet))
        return PPGNET_ERROR_SIZE;
    const ppgnet_sensors *declared = &SETTINGS->sensors;
    if (sensors->ppg_millihz != declared->ppg_millihz || sensors->ppg_channels != declared->ppg_channels
        || sensors->acc_millihz != declared->acc_millihz || sensors->acc_counts_per_g != declared->acc_counts_per_g)
        return PPGNET_ERROR_SENSORS;
    context->started = STARTED;
    return ppgnet_restart(context);
}

int ppgnet_ready(const ppgnet *context)
{
    if (check(context) != PPGNET_OK || context->pulse_held < PPGNET_WINDOW_SAMPLES)
        return 0;
#if PPGNET_AXES
    return context->motion_held >= PPGNET_WINDOW_SAMPLES;
#else
    return 1;
#endif
}

static uint32_t marked(const uint8_t *marks, uint32_t mark)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < PPGNET_WINDOW_SAMPLES; at++)
        count += (marks[at] & mark) != 0;
    return count > SETTINGS->most_marked;
}

static int is_flat(const float *pulse)
{
    float lowest = pulse[0], highest = pulse[0];
    for (uint32_t at = 1; at < PPGNET_WINDOW_SAMPLES; at++) {
        lowest = pulse[at] < lowest ? pulse[at] : lowest;
        highest = pulse[at] > highest ? pulse[at] : highest;
    }
    return highest - lowest < (float)(1 << ONE_COUNT_BITS);
}

#if PPGNET_PPG_CHANNELS > 1

/* The channels that are not flat, each made of deviation 1 over the window, added. Returns how many they are. */
static uint32_t combine(ppgnet *context)
{
    const float samples = (float)PPGNET_WINDOW_SAMPLES;
    uint32_t used = 0;
    for (uint32_t at = 0; at < PPGNET_WINDOW_SAMPLES; at++)
        context->combined[at] = 0.0f;
    for (uint32_t channel = 0; channel < PPGNET_PPG_CHANNELS; channel++) {
        const float *pulse = context->pulse[channel];
        float sum = 0.0f, squares = 0.0f;
        if (is_flat(pulse))
            continue;
        used++;
        for (uint32_t at = 0; at < PPGNET_WINDOW_SAMPLES; at++)
            sum += pulse[at];
        float centre = sum / samples;
        for (uint32_t at = 0; at < PPGNET_WINDOW_SAMPLES; at++)
            squares += (pulse[at] - centre) * (pulse[at] - centre);
        float gain = 1.0f / ppgnet_square_root(squares / samples);
        for (uint32_t at = 0; at < PPGNET_WINDOW_SAMPLES; at++)
            context->combined[at] += (pulse[at] - centre) * gain;
    }
    return used;
}

#endif

/* What the sensors alone say against the window. */
static uint32_t verdict(const ppgnet *context, uint32_t used)
{
    uint32_t invalid = used == 0 ? PPGNET_INVALID_FLAT : 0;
    if (marked(context->pulse_marks, AT_END))
        invalid |= PPGNET_INVALID_SATURATED;
    if (marked(context->pulse_marks, OFF_SKIN))
        invalid |= PPGNET_INVALID_CONTACT;
#if PPGNET_AXES
    if (marked(context->motion_marks, AT_END))
        invalid |= PPGNET_INVALID_MOTION;
#endif
    return invalid;
}

static void give_up_step(ppgnet *context)
{
    uint32_t kept = context->pulse_held -= PPGNET_STEP_SAMPLES;
    for (uint32_t channel = 0; channel < PPGNET_PPG_CHANNELS; channel++)
        for (uint32_t at = 0; at < kept; at++)
            context->pulse[channel][at] = context->pulse[channel][at + PPGNET_STEP_SAMPLES];
    for (uint32_t at = 0; at < kept; at++)
        context->pulse_marks[at] = context->pulse_marks[at + PPGNET_STEP_SAMPLES];
#if PPGNET_AXES
    kept = context->motion_held -= PPGNET_STEP_SAMPLES;
    for (uint32_t at = 0; at < kept; at++) {
        for (uint32_t axis = 0; axis < PPGNET_AXES; axis++)
            context->motion[at][axis] = context->motion[at + PPGNET_STEP_SAMPLES][axis];
        context->motion_marks[at] = context->motion_marks[at + PPGNET_STEP_SAMPLES];
    }
#endif
}

/* The network on the window: all of it, or, in a streaming network past its first, on what the last window did
   not hold. The first window goes through a streaming network in steps. */
static void run(ppgnet *context, const float *pulse, const float *motion, ppgnet_result *result)
{
    int8_t *input = context->arena + PPGNET_INPUT_OFFSET;
#if PPGNET_STREAMING
    if (!context->is_running) {
        context->is_running = 1;
        ppgnet_stream_reset(context->arena);
        ppgnet_prepare_whole(context->window, pulse, motion);
        for (const int8_t *next = context->window; next != context->window + sizeof context->window;) {
            for (uint32_t at = 0; at < PPGNET_SAMPLES * PPGNET_CHANNELS; at++)
                input[at] = *next++;
            ppgnet_run(context->arena, input, result);
        }
        return;
    }
#endif
    ppgnet_prepare(input, pulse, motion);
    ppgnet_run(context->arena, input, result);
}

/* The oldest whole window, and what the sensors say against it. */
static ppgnet_status window_of(
    ppgnet *context, ppgnet_reading *reading, const float **pulse, const float **motion)
{
    ppgnet_status status = check(context);
    if (reading == NULL)
        return PPGNET_ERROR_NULL;
    reading->estimate = reading->confidence = 0;
    reading->invalid = PPGNET_INVALID_NO_SAMPLES;
    if (status != PPGNET_OK)
        return status;
    if (!ppgnet_ready(context))
        return PPGNET_ERROR_NOT_READY;
#if PPGNET_PPG_CHANNELS > 1
    uint32_t used = combine(context);
    *pulse = context->combined;
#else
    *pulse = context->pulse[0];
    uint32_t used = !is_flat(*pulse);
#endif
#if PPGNET_AXES
    *motion = context->motion[0];
#else
    *motion = NULL;
#endif
    reading->invalid = verdict(context, used);
    return PPGNET_OK;
}

static void tell(ppgnet *context, const ppgnet_result *result, ppgnet_reading *reading)
{
    give_up_step(context);
    reading->estimate = result->estimate;
    reading->confidence = result->confidence;
    reading->invalid |= result->valid ? 0 : PPGNET_INVALID_UNCERTAIN;
}

ppgnet_status ppgnet_estimate(ppgnet *context, ppgnet_reading *reading)
{
    const float *pulse, *motion;
    ppgnet_result result;
    ppgnet_status status = window_of(context, reading, &pulse, &motion);
    if (status != PPGNET_OK)
        return status;
    run(context, pulse, motion, &result);
    tell(context, &result, reading);
    return PPGNET_OK;
}

#if PPGNET_HAS_PERSONAL

static ppgnet_status check_wearer(const ppgnet_personal *personal, int32_t heart_rate_q8)
{
    if (personal == NULL)
        return PPGNET_ERROR_NULL;
    if ((uintptr_t)personal % 4 != 0)
        return PPGNET_ERROR_ALIGNMENT;
    if (!ppgnet_personal_is_started(personal))
        return PPGNET_ERROR_STARTED;
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    if (heart_rate_q8 != 0 && (heart_rate_q8 < own->first_q8 || heart_rate_q8 > own->last_q8))
        return PPGNET_ERROR_RANGE;
    return PPGNET_OK;
}

ppgnet_status ppgnet_estimate_personal(
    ppgnet *context, ppgnet_personal *personal, int32_t heart_rate_q8, ppgnet_reading *reading)
{
    const float *pulse, *motion;
    ppgnet_result result;
    ppgnet_status status = window_of(context, reading, &pulse, &motion);
    if (status != PPGNET_OK)
        return status;
    status = check_wearer(personal, heart_rate_q8);
    if (status != PPGNET_OK) {
        reading->invalid = PPGNET_INVALID_NO_SAMPLES;
        return status;
    }
    int8_t *input = context->arena + PPGNET_INPUT_OFFSET;
    ppgnet_prepare(input, pulse, motion);
    ppgnet_personal_run(personal, context->arena, input, reading->invalid ? 0 : heart_rate_q8, &result);
#if PPGNET_HAS_TRACKER
    for (uint32_t bin = 0; bin < PPGNET_TRACKER_BINS; bin++)
        context->arena[PPGNET_LOGITS_OFFSET + bin] = personal->logits[bin];
#endif
    tell(context, &result, reading);
    return PPGNET_OK;
}

#endif

#if PPGNET_HAS_TRACKER

ppgnet_status ppgnet_track(ppgnet *context, ppgnet_reading *reading)
{
    ppgnet_status status = check(context);
    if (status != PPGNET_OK)
        return status;
    if (reading == NULL)
        return PPGNET_ERROR_NULL;
    if (reading->invalid & PPGNET_INVALID_NO_SAMPLES)
        return PPGNET_ERROR_NOT_READY;
    ppgnet_result result;
    int8_t *logits = context->arena + PPGNET_LOGITS_OFFSET;
    uint32_t sensors = reading->invalid & ~(uint32_t)PPGNET_INVALID_UNCERTAIN;
    if (sensors != 0)
        for (uint32_t bin = 0; bin < PPGNET_TRACKER_BINS; bin++)
            logits[bin] = 0;
    ppgnet_tracker_update(&context->tracker, logits, &result);
    reading->estimate = result.estimate;
    reading->confidence = result.confidence;
    reading->invalid = result.valid ? 0 : PPGNET_INVALID_UNCERTAIN;
    return PPGNET_OK;
}

#endif
