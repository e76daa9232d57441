/* From one window of band-passed pulse and acceleration in g to the network's int8 input: normalization over the
   window, cancelling of motion, quantization. hwmodels/network/preparation.py says what and why. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

#include <stddef.h>

#define AXES 3
#define REACH 4
#define LAGS (2 * REACH + 1)
#define UNKNOWNS (LAGS * AXES)
#define ROW(i) ((i) * ((i) + 1) / 2)

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

/* Sums of each axis times each axis `ahead` samples later; times wrap around. */
PPGNET_UNIT void ppgnet_correlate_axes(const struct ppgnet_window *w, uint32_t ahead, float sums[AXES * AXES])
{
    float xx = 0.0f, xy = 0.0f, xz = 0.0f, yx = 0.0f, yy = 0.0f, yz = 0.0f, zx = 0.0f, zy = 0.0f, zz = 0.0f;
    for (uint32_t t = 0; t < w->samples; t++) {
        float x = axis_at(w, 0, t), y = axis_at(w, 1, t), z = axis_at(w, 2, t);
        float later_x = axis_at(w, 0, ahead), later_y = axis_at(w, 1, ahead), later_z = axis_at(w, 2, ahead);
        xx += x * later_x, xy += x * later_y, xz += x * later_z;
        yx += y * later_x, yy += y * later_y, yz += y * later_z;
        zx += z * later_x, zy += z * later_y, zz += z * later_z;
        ahead = ahead + 1 == w->samples ? 0 : ahead + 1;
    }
    float square = w->scale * w->scale, found[] = {xx, xy, xz, yx, yy, yz, zx, zy, zz};
    for (uint32_t pair = 0; pair < AXES * AXES; pair++)
        sums[pair] = found[pair] * square;
}

/* Sums of the pulse times each axis `ahead` samples later. */
PPGNET_UNIT void ppgnet_correlate_pulse(const struct ppgnet_window *w, uint32_t ahead, float sums[AXES])
{
    float x = 0.0f, y = 0.0f, z = 0.0f;
    for (uint32_t t = 0; t < w->samples; t++) {
        float pulse = w->pulse[t] - w->pulse_centre;
        x += pulse * axis_at(w, 0, ahead), y += pulse * axis_at(w, 1, ahead), z += pulse * axis_at(w, 2, ahead);
        ahead = ahead + 1 == w->samples ? 0 : ahead + 1;
    }
    float gain = w->pulse_gain * w->scale;
    sums[0] = x * gain, sums[1] = y * gain, sums[2] = z * gain;
}

/* The ridge regression of the pulse on the axes at all lags: weights of the unknowns, axis by axis within
   lag by lag. Returns what is left of the pulse's energy. Cholesky's factor holds its diagonal's inverse. */
PPGNET_SMALL float ppgnet_cancel(const struct ppgnet_window *w, uint32_t step, float energy, float *weights)
{
    float known[LAGS][AXES * AXES], factor[ROW(UNKNOWNS)], cross[UNKNOWNS];
    for (uint32_t lag = 0; lag < LAGS; lag++) {
        ppgnet_correlate_axes(w, lag * step % w->samples, known[lag]);
        ppgnet_correlate_pulse(w, (w->samples + REACH - lag) * step % w->samples, cross + lag * AXES);
    }
    float ridge = (known[0][0] + known[0][4] + known[0][8]) * (float)(0.01 / 3) + 1e-3f;
    for (uint32_t row = 0; row < UNKNOWNS; row++) {
        float *entries = factor + ROW(row);
        for (uint32_t column = 0; column <= row; column++) {
            const float *other = factor + ROW(column);
            float value = known[row / AXES - column / AXES][row % AXES * AXES + column % AXES];
            if (column == row)
                value += ridge;
            for (uint32_t k = 0; k < column; k++)
                value -= entries[k] * other[k];
            entries[column] = column == row ? 1.0f / ppgnet_square_root(value) : value * other[column];
        }
        weights[row] = cross[row];
    }
    for (uint32_t row = 0; row < UNKNOWNS; row++) {
        for (uint32_t column = 0; column < row; column++)
            weights[row] -= factor[ROW(row) + column] * weights[column];
        weights[row] *= factor[ROW(row) + row];
    }
    for (uint32_t row = UNKNOWNS; row-- > 0;) {
        weights[row] *= factor[ROW(row) + row];
        for (uint32_t column = 0; column < row; column++)
            weights[column] -= factor[ROW(row) + column] * weights[row];
    }
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

PPGNET_INLINE float explained_at(const window *w, const float *weights, uint32_t step, uint32_t t)
{
    int32_t back = (int32_t)(AXES * step), round = (int32_t)(AXES * w->samples);
    const float *begin = w->acceleration, *at = begin + AXES * ((t + REACH * step) % w->samples);
    float sum = 0.0f;
    for (const float *weight = weights; weight != weights + UNKNOWNS; weight += AXES) {
        sum += weight[0] * (at[0] - w->centre[0]);
        sum += weight[1] * (at[1] - w->centre[1]);
        sum += weight[2] * (at[2] - w->centre[2]);
        at += at < begin + back ? round - back : -back;
    }
    return sum;
}

/* One sample of the signals to where `to` wants it: onto the network's grid, or as it is, signal by signal. */
PPGNET_INLINE void write(
    const ppgnet_input_settings *settings, void *to, uint32_t t, float pulse, float cleaned, float motion,
    float explained)
{
    float signals[4] = {pulse, cleaned, motion, explained};
    int8_t *row = (int8_t *)to + (t - settings->skipped) * settings->channels;
    if (settings->spectrum != NULL)
        for (uint32_t channel = 0; channel < (settings->motion == NULL ? 1 : 4); channel++)
            ((float *)to)[channel * settings->samples + t] = signals[channel];
    else
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
    for (uint32_t t = 0; t < samples; t++)
        centre += magnitude(w, t);
    centre /= (float)samples;
    for (uint32_t t = settings->skipped; t < samples; t++) {
        float pulse = pulse_at(w, t), explained = explained_at(w, weights, step, t);
        write(settings, to, t, pulse, (pulse - explained) * gain, magnitude(w, t) - centre, explained);
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
