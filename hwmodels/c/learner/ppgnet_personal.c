/* Gradient descent on one gain a feature, in integers; hwmodels/firmware/learner.py computes the same. The exact
   fully connected kernel makes the logits, so that learning sees what will be deployed. */
#include "ppgnet_personal.h"
#include "ppgnet_belief.h"
#include "ppgnet_shim.h"

enum {
    BINS = PPGNET_PERSONAL_BINS,
    CHANNELS = PPGNET_PERSONAL_CHANNELS,
    POSITIONS = PPGNET_PERSONAL_POSITIONS,
    ROWS = PPGNET_PERSONAL_ROWS,
    OUTPUTS = PPGNET_PERSONAL_OUTPUTS,
    BLOCK = 15,  /* windows: half a minute */
    PERIOD = 45, /* every third block is held out .. */
    MARGIN = 3,  /* .. and windows that overlap one are not learnt from */
    FIRST_HELD = PERIOD - BLOCK,
    ONE_Q16 = 65536,
    LEAST_Q16 = 32768,
    MOST_Q16 = 131072,
    EVALUATE_EVERY = 4,
    LABEL_ENTRIES = 64,
    STARTED = 0x6c65726e
};

static uint32_t is_held_out(uint32_t kept)
{
    return kept * PPGNET_PERSONAL_EVERY % PERIOD >= FIRST_HELD;
}

static uint32_t is_learnt_from(uint32_t kept)
{
    uint32_t window = kept * PPGNET_PERSONAL_EVERY, place = window % PERIOD;
    return place < FIRST_HELD - MARGIN && (window < PERIOD || place >= MARGIN);
}

static void fold(ppgnet_personal *personal, const int32_t *gain_q16)
{
    int8_t *weight = personal->weight;
    for (uint32_t output = 0; output < OUTPUTS; output++)
        for (uint32_t channel = 0; channel < CHANNELS; channel++) {
            uint32_t index = output * CHANNELS + channel;
            int32_t scaled = (ppgnet_personal_constants.weight[index] * gain_q16[channel] + 32768) >> 16;
            scaled = ppgnet_larger(scaled, -127);
            weight[index] = (int8_t)-ppgnet_larger(-scaled, -127);
        }
}

/* The last layer at `rows` positions. */
static void last_layer(const int8_t *weight, const int8_t *features, uint32_t rows, int8_t *logits)
{
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    const ppgnet_exact_data data = {weight, own->bias, own->multiplier, own->shift, -128, 0};
    ppgnet_layer layer = own->layer;
    layer.data = &data;
    layer.length_in = layer.length_out = (uint16_t)rows;
    ppgnet_exact(&layer, features, 0, logits, 0);
}

/* Logits of a window that is kept; where its features are not, the lowest. */
static const int8_t *logits_of(ppgnet_personal *personal, uint32_t window)
{
    last_layer(personal->weight, personal->features[window], ROWS, personal->made);
    for (uint32_t bin = 0; bin < BINS; bin++)
        personal->logits[bin] = -128;
    for (uint32_t row = 0; row < ROWS; row++)
        for (uint32_t output = 0; output < OUTPUTS; output++)
            personal->logits[personal->position[window][row] + output] = personal->made[row * OUTPUTS + output];
    return personal->logits;
}

/* How far a bin lies from a heart rate, in entries of the label's table. */
static uint32_t apart_from(int32_t heart_rate_q8, uint32_t bin)
{
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    int32_t distance = own->first_q8 + (int32_t)((bin * (uint32_t)own->step_q16) >> 8) - heart_rate_q8;
    return (uint32_t)ppgnet_larger(distance, -distance) * own->label_index_q16 >> 16;
}

/* The positions near the label, then those with the largest logits as exported; of equal ones the first. */
static void choose_positions(
    ppgnet_personal *personal, const int8_t *features, int32_t heart_rate_q8, uint8_t *position)
{
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    if (ROWS == POSITIONS) {
        for (uint32_t row = 0; row < ROWS; row++)
            position[row] = (uint8_t)row;
        return;
    }
    int32_t *mark = personal->error_q15;
    last_layer(own->weight, features, POSITIONS, personal->logits);
    for (uint32_t bin = 0; bin < BINS; bin++)
        mark[bin] = apart_from(heart_rate_q8, bin) < own->near ? 128 : personal->logits[bin];
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t best = 0;
        for (uint32_t bin = 1; bin < BINS; bin++)
            best = mark[bin] > mark[best] ? bin : best;
        mark[best] = -129;
        position[row] = (uint8_t)best;
    }
}

/* Belief less label, in 1/32768, for every bin. */
static void find_error(ppgnet_personal *personal, const int8_t *logits, int32_t heart_rate_q8)
{
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    int32_t *error = personal->error_q15, top = -128;
    uint32_t labels = 0, beliefs = 0;
    for (uint32_t bin = 0; bin < BINS; bin++) {
        uint32_t apart = apart_from(heart_rate_q8, bin);
        error[bin] = apart < LABEL_ENTRIES ? own->label[apart] : 0;
        labels += (uint32_t)error[bin];
        top = ppgnet_larger(top, logits[bin]);
    }
    for (uint32_t bin = 0; bin < BINS; bin++)
        beliefs += ppgnet_belief_in(&own->belief, top - logits[bin]);
    for (uint32_t bin = 0; bin < BINS; bin++) {
        uint32_t label = ((uint32_t)error[bin] << 15) / labels;
        uint32_t belief = (ppgnet_belief_in(&own->belief, top - logits[bin]) << 15) / beliefs;
        error[bin] = (int32_t)belief - (int32_t)label;
    }
}

static void add_gradient(ppgnet_personal *personal, uint32_t window)
{
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    for (uint32_t row = 0; row < ROWS; row++) {
        const int32_t *error = personal->error_q15 + personal->position[window][row];
        const int8_t *features = personal->features[window] + row * CHANNELS;
        for (uint32_t channel = 0; channel < CHANNELS; channel++) {
            int32_t sum = 0;
            for (uint32_t output = 0; output < OUTPUTS; output++)
                sum += ((error[output] * own->slope_q15[output]) >> 15) * own->weight[output * CHANNELS + channel];
            personal->gradient[channel] += (sum >> 8) * (features[channel] - own->layer.zero_point_in);
        }
    }
}

static uint32_t held_out_error(ppgnet_personal *personal)
{
    uint32_t total = 0;
    for (uint32_t window = 0; window < personal->count; window++) {
        if (!is_held_out(window))
            continue;
        ppgnet_result result;
        ppgnet_head(logits_of(personal, window), &result);
        int32_t distance = result.estimate - personal->heart_rate_q8[window];
        total += (uint32_t)ppgnet_larger(distance, -distance);
    }
    return total;
}

static void descend(ppgnet_personal *personal)
{
    uint32_t learnt = 0;
    for (uint32_t channel = 0; channel < CHANNELS; channel++)
        personal->gradient[channel] = 0;
    for (uint32_t window = 0; window < personal->count; window++) {
        if (!is_learnt_from(window))
            continue;
        find_error(personal, logits_of(personal, window), personal->heart_rate_q8[window]);
        add_gradient(personal, window);
        learnt++;
    }
    int32_t rate_q24 = ppgnet_personal_constants.rate_q24 / (int32_t)learnt;
    for (uint32_t channel = 0; channel < CHANNELS; channel++) {
        int32_t velocity = personal->velocity[channel];
        velocity -= velocity >> 3;
        velocity += (int32_t)(((int64_t)personal->gradient[channel] * rate_q24) >> 24);
        personal->velocity[channel] = velocity;
        int32_t gain = ppgnet_larger(personal->gain_q16[channel] - velocity, LEAST_Q16);
        personal->gain_q16[channel] = -ppgnet_larger(-gain, -MOST_Q16);
    }
}

static void keep(ppgnet_personal *personal, uint32_t iteration)
{
    personal->kept_iteration = iteration;
    for (uint32_t channel = 0; channel < CHANNELS; channel++)
        personal->kept_q16[channel] = personal->gain_q16[channel];
}

static void start(ppgnet_personal *personal)
{
    for (uint32_t channel = 0; channel < CHANNELS; channel++) {
        personal->gain_q16[channel] = ONE_Q16;
        personal->velocity[channel] = 0;
    }
    keep(personal, 0);
    fold(personal, personal->gain_q16);
}

void ppgnet_personal_reset(ppgnet_personal *personal)
{
    personal->given = personal->count = 0;
    personal->started = STARTED;
    start(personal);
}

int ppgnet_personal_is_started(const ppgnet_personal *personal)
{
    return personal->started == STARTED;
}

static ppgnet_personal_status label_status(const ppgnet_personal *personal, int32_t heart_rate_q8)
{
    const ppgnet_personal_settings *own = &ppgnet_personal_constants;
    if (heart_rate_q8 < own->first_q8 || heart_rate_q8 > own->last_q8)
        return PPGNET_PERSONAL_OUT_OF_RANGE;
    return personal->count < PPGNET_PERSONAL_WINDOWS ? PPGNET_PERSONAL_DONE : PPGNET_PERSONAL_FULL;
}

static void keep_window(ppgnet_personal *personal, const int8_t *features, int32_t heart_rate_q8)
{
    uint8_t *position = personal->position[personal->count];
    int8_t *kept = personal->features[personal->count];
    choose_positions(personal, features, heart_rate_q8, position);
    for (uint32_t row = 0; row < ROWS; row++)
        for (uint32_t channel = 0; channel < CHANNELS; channel++)
            *kept++ = features[position[row] * CHANNELS + channel];
    personal->heart_rate_q8[personal->count++] = heart_rate_q8;
}

ppgnet_personal_status ppgnet_personal_add(
    ppgnet_personal *personal, int8_t *arena, const int8_t *input, int32_t heart_rate_q8)
{
    ppgnet_personal_status status = label_status(personal, heart_rate_q8);
    if (status == PPGNET_PERSONAL_DONE && personal->given++ % PPGNET_PERSONAL_EVERY == 0)
        keep_window(personal, ppgnet_features(arena, input), heart_rate_q8);
    return status;
}

ppgnet_personal_status ppgnet_personal_train(ppgnet_personal *personal)
{
    if (personal->given < PPGNET_PERSONAL_FEWEST)
        return PPGNET_PERSONAL_TOO_FEW;
    start(personal);
    uint32_t least = held_out_error(personal);
    for (uint32_t iteration = 1; iteration <= PPGNET_PERSONAL_ITERATIONS; iteration++) {
        descend(personal);
        fold(personal, personal->gain_q16);
        if (iteration % EVALUATE_EVERY != 0)
            continue;
        uint32_t error = held_out_error(personal);
        if (error < least) {
            least = error;
            keep(personal, iteration);
        }
    }
    fold(personal, personal->kept_q16);
    return PPGNET_PERSONAL_DONE;
}

ppgnet_personal_status ppgnet_personal_run(ppgnet_personal *personal, int8_t *arena, const int8_t *input,
    int32_t heart_rate_q8, ppgnet_result *result)
{
    ppgnet_personal_status status = PPGNET_PERSONAL_DONE;
    const int8_t *features = ppgnet_features(arena, input);
    if (heart_rate_q8 != 0) {
        status = label_status(personal, heart_rate_q8);
        if (status == PPGNET_PERSONAL_DONE && personal->given++ % PPGNET_PERSONAL_EVERY == 0)
            keep_window(personal, features, heart_rate_q8);
    }
    last_layer(personal->weight, features, POSITIONS, personal->logits);
    ppgnet_head(personal->logits, result);
    return status;
}

const uint32_t ppgnet_personal_bytes = sizeof(ppgnet_personal);
