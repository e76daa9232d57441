/* From one window of band-passed pulse and acceleration in g to the network's int8 input: normalization over the
   window, cancelling of motion, quantization. hwmodels/network/preparation.py says what and why. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

#include <stddef.h>

#define AXES 3
#define REACH 4
#define LAGS (2 * REACH + 1)
#define UNKNOWNS (LAGS * AXES)
/* Where the rows of a lag begin in Cholesky's factor, each as long as their last one. */
#define ROWS(lag) (AXES * AXES * (lag) * ((lag) + 1) / 2)

struct ppgnet_window {
    const float *pulse, *acceleration;
    uint32_t samples;
    float pulse_centre, pulse_gain, centre[AXES], scale;
};
typedef struct ppgnet_window window;

PPGNET_INLINE float pulse_at(const window *w, uint32_t t)
{
    return (w->pulse[t] - w->pulse_centre) * w->pulse_gain;
}

/* An axis of motion, unscaled. */
PPGNET_INLINE float axis_at(const window *w, uint32_t axis, uint32_t t)
{
    return w->acceleration[t * AXES + axis] - w->centre[axis];
}

/* Sums of each axis, and of the pulse `reach` samples later, times each axis `ahead` samples later; times wrap
   around. */
PPGNET_UNIT void ppgnet_correlate(
    const struct ppgnet_window *w, uint32_t ahead, uint32_t reach, float *axes, float *cross)
{
    float xx = 0.0f, xy = 0.0f, xz = 0.0f, yx = 0.0f, yy = 0.0f, yz = 0.0f, zx = 0.0f, zy = 0.0f, zz = 0.0f;
    float px = 0.0f, py = 0.0f, pz = 0.0f;
    const float *begin = w->acceleration, *end = begin + AXES * w->samples, *later = begin + AXES * ahead;
    const float *last = w->pulse + w->samples, *at = w->pulse + reach;
    float centre_x = w->centre[0], centre_y = w->centre[1], centre_z = w->centre[2], centre = w->pulse_centre;
    for (const float *now = begin; now != end; now += AXES) {
        float x = now[0] - centre_x, y = now[1] - centre_y, z = now[2] - centre_z, pulse = *at++ - centre;
        float later_x = later[0] - centre_x, later_y = later[1] - centre_y, later_z = later[2] - centre_z;
        later += AXES;
        later = later == end ? begin : later;
        at = at == last ? w->pulse : at;
        xx += x * later_x, xy += x * later_y, xz += x * later_z;
        yx += y * later_x, yy += y * later_y, yz += y * later_z;
        zx += z * later_x, zy += z * later_y, zz += z * later_z;
        px += pulse * later_x, py += pulse * later_y, pz += pulse * later_z;
    }
    float square = w->scale * w->scale, gain = w->pulse_gain * w->scale;
    axes[0] = xx * square, axes[1] = xy * square, axes[2] = xz * square;
    axes[3] = yx * square, axes[4] = yy * square, axes[5] = yz * square;
    axes[6] = zx * square, axes[7] = zy * square, axes[8] = zz * square;
    cross[0] = px * gain, cross[1] = py * gain, cross[2] = pz * gain;
}

/* Three rows of Cholesky's factor by three columns, behind `count` that are known: of their correlations and what the
   columns before take from these. The columns are those of `other`, whose rows may be the same. */
PPGNET_UNIT void ppgnet_reduce(const float *known, float *rows, const float *other, uint32_t count, uint32_t width)
{
    float xx = known[0], xy = known[1], xz = known[2], yx = known[3], yy = known[4], yz = known[5];
    float zx = known[6], zy = known[7], zz = known[8];
    uint32_t length = count + AXES;
    for (const float *end = other + count; other != end; rows++, other++) {
        float x = rows[0], y = rows[width], z = rows[2 * width];
        float first = other[0], second = other[length], third = other[2 * length];
        xx -= x * first, xy -= x * second, xz -= x * third;
        yx -= y * first, yy -= y * second, yz -= y * third;
        zx -= z * first, zy -= z * second, zz -= z * third;
    }
    if (rows == other) {
        xx = 1.0f / ppgnet_square_root(xx), yx *= xx, zx *= xx;
        yy = 1.0f / ppgnet_square_root(yy - yx * yx), zy = (zy - zx * yx) * yy;
        zz = 1.0f / ppgnet_square_root(zz - zx * zx - zy * zy);
    } else {
        float inverse_x = other[0], yx_other = other[length], inverse_y = other[length + 1];
        float zx_other = other[2 * length], zy_other = other[2 * length + 1], inverse_z = other[2 * length + 2];
        xx *= inverse_x, yx *= inverse_x, zx *= inverse_x;
        xy = (xy - xx * yx_other) * inverse_y, yy = (yy - yx * yx_other) * inverse_y;
        zy = (zy - zx * yx_other) * inverse_y;
        xz = (xz - xx * zx_other - xy * zy_other) * inverse_z, yz = (yz - yx * zx_other - yy * zy_other) * inverse_z;
        zz = (zz - zx * zx_other - zy * zy_other) * inverse_z;
    }
    rows[0] = xx, rows[1] = xy, rows[2] = xz;
    rows += width, rows[0] = yx, rows[1] = yy, rows[2] = yz;
    rows += width, rows[0] = zx, rows[1] = zy, rows[2] = zz;
}

/* Solves for the weights with the factor, which holds its diagonal's inverse. */
PPGNET_UNIT void ppgnet_solve(const float *factor, const float *cross, float *weights)
{
    const float *rows = factor;
    float *last = weights, *end = weights + UNKNOWNS;
    for (uint32_t width = AXES; last != end; width += AXES, last += AXES, cross += AXES) {
        float x = cross[0], y = cross[1], z = cross[2];
        for (const float *weight = weights; weight != last; weight++, rows++)
            x -= rows[0] * *weight, y -= rows[width] * *weight, z -= rows[2 * width] * *weight;
        last[0] = x * rows[0];
        last[1] = (y - rows[width] * last[0]) * rows[width + 1];
        last[2] = (z - rows[2 * width] * last[0] - rows[2 * width + 1] * last[1]) * rows[2 * width + 2];
        rows += 2 * width + AXES;
    }
    for (uint32_t width = AXES * LAGS; width != 0; width -= AXES) {
        rows -= AXES * width, last -= AXES;
        const float *own = rows + width - AXES;
        float z = last[2] * own[2 * width + 2], y = (last[1] - own[2 * width + 1] * z) * own[width + 1];
        float x = (last[0] - own[2 * width] * z - own[width] * y) * own[0];
        last[0] = x, last[1] = y, last[2] = z;
        for (float *weight = weights; weight != last; weight++) {
            const float *row = rows + (weight - weights);
            *weight = *weight - row[2 * width] * z - row[width] * y - row[0] * x;
        }
    }
}

/* The ridge regression of the pulse on the axes at all lags: weights of the unknowns, axis by axis within
   lag by lag. Returns what is left of the pulse's energy. */
PPGNET_SMALL float ppgnet_cancel(const struct ppgnet_window *w, uint32_t step, float energy, float *weights)
{
    float known[LAGS][AXES * AXES], factor[ROWS(LAGS)], cross[UNKNOWNS];
    for (uint32_t lag = 0; lag < LAGS; lag++)
        ppgnet_correlate(
            w, lag * step % w->samples, REACH * step % w->samples, known[lag], cross + (LAGS - 1 - lag) * AXES);
    float ridge = (known[0][0] + known[0][4] + known[0][8]) * (float)(0.01 / 3) + 1e-3f;
    for (uint32_t axis = 0; axis < AXES; axis++)
        known[0][axis * (AXES + 1)] += ridge;
    for (uint32_t lag = 0; lag < LAGS; lag++)
        for (uint32_t other = 0; other <= lag; other++)
            ppgnet_reduce(known[lag - other], factor + ROWS(lag), factor + ROWS(other), AXES * other, AXES * (lag + 1));
    ppgnet_solve(factor, cross, weights);
    for (uint32_t row = 0; row < UNKNOWNS; row++) {
        energy -= weights[row] * (cross[row] + ridge * weights[row]);
        weights[row] *= w->scale;
    }
    return energy;
}

PPGNET_INLINE float mean(const float *values, uint32_t samples, uint32_t spacing)
{
    float sum = 0.0f;
    for (uint32_t t = 0; t < samples; t++)
        sum += values[t * spacing];
    return sum / (float)samples;
}

PPGNET_INLINE float magnitude(const window *w, uint32_t t)
{
    float x = axis_at(w, 0, t), y = axis_at(w, 1, t), z = axis_at(w, 2, t);
    return ppgnet_square_root(x * x + y * y + z * z) * w->scale;
}

/* What the axes explain of one sample, axis by axis, from the lag at `at` back; three lags at a time. */
PPGNET_INLINE float explained_from(const window *w, const float *weights, uint32_t step, const float *at)
{
    int32_t back = -(int32_t)(AXES * step), round = (int32_t)(AXES * w->samples) + back;
    const float *first = w->acceleration - back;
    float centre_x = w->centre[0], centre_y = w->centre[1], centre_z = w->centre[2];
    float x = 0.0f, y = 0.0f, z = 0.0f;
    for (const float *end = weights + UNKNOWNS; weights != end; weights += 3 * AXES) {
        const float *second = at + (at < first ? round : back), *third = second + (second < first ? round : back);
        float x0 = weights[0] * (at[0] - centre_x), x1 = weights[3] * (second[0] - centre_x);
        float y0 = weights[1] * (at[1] - centre_y), y1 = weights[4] * (second[1] - centre_y);
        float z0 = weights[2] * (at[2] - centre_z), z1 = weights[5] * (second[2] - centre_z);
        float x2 = weights[6] * (third[0] - centre_x), y2 = weights[7] * (third[1] - centre_y);
        float z2 = weights[8] * (third[2] - centre_z);
        at = third + (third < first ? round : back);
        x = x + x0 + x1 + x2;
        y = y + y0 + y1 + y2;
        z = z + z0 + z1 + z2;
    }
    return x + y + z;
}

/* One sample of the signals to where `to` wants it: onto the network's grid, or as it is, signal by signal. */
PPGNET_INLINE void write(
    const ppgnet_input_settings *settings, void *to, uint32_t t, float pulse, float cleaned, float motion,
    float explained)
{
    if (settings->spectrum != NULL) {
        float *at = (float *)to + t;
        at[0] = pulse, at[PPGNET_SPECTRUM_SAMPLES] = cleaned;
        at[2 * PPGNET_SPECTRUM_SAMPLES] = motion, at[3 * PPGNET_SPECTRUM_SAMPLES] = explained;
        return;
    }
    float signals[] = {pulse, cleaned, motion, explained};
    int8_t *row = (int8_t *)to + (t - settings->skipped) * settings->channels;
    for (uint32_t channel = 0; channel < settings->channels; channel++)
        row[channel] = ppgnet_to_grid(signals[channel] * settings->inverse_scale, settings->zero_point);
}

PPGNET_UNIT void ppgnet_prepare_motion(
    const ppgnet_input_settings *settings, void *to, struct ppgnet_window *w, float energy)
{
    uint32_t samples = settings->samples, step = settings->lag;
    float weights[UNKNOWNS], centre = 0.0f;
    for (uint32_t axis = 0; axis < AXES; axis++)
        w->centre[axis] = mean(w->acceleration + axis, samples, AXES);
    float remainder = ppgnet_square_root(ppgnet_cancel(w, step, energy, weights) / (float)samples);
    float gain = 1.0f / (remainder > 0.05f ? remainder : 0.05f);
    /* Signals that stay floats hold the magnitude until its mean is known. */
    float *kept = settings->spectrum != NULL ? (float *)to + 2 * PPGNET_SPECTRUM_SAMPLES : NULL;
    for (uint32_t t = 0; t < samples; t++) {
        float motion = magnitude(w, t);
        centre += motion;
        if (kept != NULL)
            kept[t] = motion;
    }
    centre /= (float)samples;
    const float *begin = w->acceleration, *end = begin + AXES * samples;
    const float *at = begin + AXES * ((settings->skipped + REACH * step) % samples);
    for (uint32_t t = settings->skipped; t < samples; t++) {
        float pulse = pulse_at(w, t), explained = explained_from(w, weights, step, at);
        float motion = (kept != NULL ? kept[t] : magnitude(w, t)) - centre;
        write(settings, to, t, pulse, (pulse - explained) * gain, motion, explained);
        at += AXES;
        at = at == end ? begin : at;
    }
}

PPGNET_SMALL void ppgnet_prepare_signals(
    const ppgnet_input_settings *settings, void *to, const float *pulse, const float *acceleration)
{
    uint32_t samples = settings->samples;
    window w = {pulse, acceleration, samples, mean(pulse, samples, 1), 1.0f, {0.0f}, settings->acceleration_gain};
    float squares = 0.0f;
    for (uint32_t t = 0; t < samples; t++)
        squares += pulse_at(&w, t) * pulse_at(&w, t);
    float deviation = ppgnet_square_root(squares / (float)samples);
    w.pulse_gain = 1.0f / (deviation > 1e-6f ? deviation : 1e-6f);
    if (settings->motion != NULL && acceleration != NULL) {
        settings->motion(settings, to, &w, squares * w.pulse_gain * w.pulse_gain);
        return;
    }
    for (uint32_t t = settings->skipped; t < samples; t++)
        write(settings, to, t, pulse_at(&w, t), pulse_at(&w, t), 0.0f, 0.0f);
}

PPGNET_SMALL void ppgnet_prepare_window(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration)
{
    if (settings->spectrum != NULL)
        settings->spectrum->prepare(settings, input, pulse, acceleration);
    else
        ppgnet_prepare_signals(settings, input, pulse, acceleration);
}
