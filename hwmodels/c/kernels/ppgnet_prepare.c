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

/* Sums of each axis, and of the pulse `reach` samples later, times each axis `ahead` samples later; times wrap around. */
PPGNET_UNIT void ppgnet_correlate(const struct ppgnet_window *w, uint32_t ahead, uint32_t reach, float *axes, float *cross)
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

/* What `count` columns take from the products of three rows with three others; `values` row by row. */
PPGNET_UNIT void ppgnet_reduce(
    float *values, const float *rows, const float *columns, uint32_t count, uint32_t length)
{
    float xx = values[0], xy = values[1], xz = values[2], yx = values[3], yy = values[4], yz = values[5];
    float zx = values[6], zy = values[7], zz = values[8];
    const float *end = columns + count;
    for (uint32_t width = count + length; columns != end; rows++, columns++) {
        float x = rows[0], y = rows[width], z = rows[2 * width];
        float other_x = columns[0], other_y = columns[count + AXES], other_z = columns[2 * (count + AXES)];
        xx -= x * other_x, xy -= x * other_y, xz -= x * other_z;
        yx -= y * other_x, yy -= y * other_y, yz -= y * other_z;
        zx -= z * other_x, zy -= z * other_y, zz -= z * other_z;
    }
    values[0] = xx, values[1] = xy, values[2] = xz, values[3] = yx, values[4] = yy, values[5] = yz;
    values[6] = zx, values[7] = zy, values[8] = zz;
}

/* The ridge regression of the pulse on the axes at all lags: weights of the unknowns, axis by axis within
   lag by lag. Returns what is left of the pulse's energy. Cholesky's factor holds its diagonal's inverse. */
PPGNET_UNIT float ppgnet_cancel(const struct ppgnet_window *w, uint32_t step, float energy, float *weights)
{
    float known[LAGS][AXES * AXES], factor[ROWS(LAGS)], cross[UNKNOWNS];
    for (uint32_t lag = 0; lag < LAGS; lag++)
        ppgnet_correlate(
            w, lag * step % w->samples, REACH * step % w->samples, known[lag], cross + (LAGS - 1 - lag) * AXES);
    float ridge = (known[0][0] + known[0][4] + known[0][8]) * (float)(0.01 / 3) + 1e-3f;
    for (uint32_t axis = 0; axis < AXES; axis++)
        known[0][axis * (AXES + 1)] += ridge;
    for (uint32_t lag = 0; lag < LAGS; lag++) {
        uint32_t width = AXES * (lag + 1);
        float *rows = factor + ROWS(lag), values[AXES * AXES];
        for (uint32_t other = 0; other <= lag; other++) {
            const float *columns = factor + ROWS(other);
            uint32_t count = AXES * other;
            for (uint32_t pair = 0; pair < AXES * AXES; pair++)
                values[pair] = known[lag - other][pair];
            ppgnet_reduce(values, rows, columns, count, width - count);
            columns += count;
            for (uint32_t column = 0; column < AXES; column++, columns += count + AXES)
                for (uint32_t row = other == lag ? column : 0; row < AXES; row++) {
                    float *entries = rows + row * width + count, value = values[row * AXES + column];
                    for (uint32_t k = 0; k < column; k++)
                        value -= entries[k] * columns[k];
                    entries[column] = other == lag && row == column ? 1.0f / ppgnet_square_root(value)
                                                                    : value * columns[column];
                }
        }
    }
    for (uint32_t lag = 0, row = 0; lag < LAGS; lag++)
        for (const float *entries = factor + ROWS(lag); row < AXES * (lag + 1); row++, entries += AXES * (lag + 1)) {
            float value = cross[row];
            for (uint32_t column = 0; column < row; column++)
                value -= entries[column] * weights[column];
            weights[row] = value * entries[row];
        }
    for (uint32_t row = UNKNOWNS; row-- > 0;) {
        const float *entries = factor + ROWS(row / AXES) + row % AXES * AXES * (row / AXES + 1);
        float weight = weights[row] * entries[row];
        weights[row] = weight;
        for (uint32_t column = 0; column < row; column++)
            weights[column] -= entries[column] * weight;
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

/* What the axes explain of one sample, axis by axis; three lags at a time. */
PPGNET_INLINE float explained_at(const window *w, const float *weights, uint32_t step, uint32_t t)
{
    int32_t back = -(int32_t)(AXES * step), round = (int32_t)(AXES * w->samples) + back;
    const float *begin = w->acceleration, *at = begin + AXES * ((t + REACH * step) % w->samples), *first = begin - back;
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
    float signals[4] = {pulse, cleaned, motion, explained}, *at = (float *)to + t;
    int8_t *row = (int8_t *)to + (t - settings->skipped) * settings->channels;
    if (settings->spectrum != NULL)
        for (uint32_t channel = 0; channel < 4; channel++, at += PPGNET_SPECTRUM_SAMPLES)
            *at = signals[channel];
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
