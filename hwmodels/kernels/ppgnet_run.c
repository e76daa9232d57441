/* The loop over a network's steps, and the way from one window of sensor samples to its int8 input. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

#include <stddef.h>

void ppgnet_execute(
    const ppgnet_network *network, int8_t *arena, const int8_t *input, ppgnet_result *result)
{
    const ppgnet_step *step = network->steps, *last = step + network->count - 1;
    for (;; step++) {
        const int8_t *first = step->input == PPGNET_FROM_CALLER ? input : arena + step->input;
        const int8_t *second = step->second == PPGNET_FROM_CALLER ? input : arena + step->second;
        void *output = step == last ? (void *)result : (void *)(arena + step->output);
        step->kernel(step->parameters, first, second, output, arena + step->scratch);
        if (step == last)
            return;
    }
}

/* Half away from zero onto the int8 grid; NaN becomes the lowest value. */
static inline int8_t to_grid(float steps, int32_t zero_point)
{
    steps = steps >= -512.0f ? steps : -512.0f;
    steps = steps <= 512.0f ? steps : 512.0f;
    int32_t rounded = (int32_t)(steps + (steps >= 0.0f ? 0.5f : -0.5f)) + zero_point;
    return (int8_t)-ppgnet_larger(-ppgnet_larger(rounded, -128), -127);
}

static inline float mean(const float *values, uint32_t samples, uint32_t step)
{
    float sum = 0.0f;
    for (uint32_t index = 0; index < samples; index++)
        sum += values[index * step];
    return sum / (float)samples;
}

void ppgnet_prepare_window(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration)
{
    uint32_t samples = settings->samples, channels = settings->channels;
    float centre = mean(pulse, samples, 1), squares = 0.0f;
    for (uint32_t index = 0; index < samples; index++) {
        float moved = pulse[index] - centre;
        squares += moved * moved;
    }
    float deviation = ppgnet_square_root(squares / (float)samples);
    deviation = deviation > 1e-6f ? deviation : 1e-6f;
    float gain = 1.0f / (deviation * settings->scale);
    for (uint32_t index = 0; index < samples; index++)
        input[index * channels] = to_grid((pulse[index] - centre) * gain, settings->zero_point);
    for (uint32_t axis = 0; axis + 1 < channels; axis++) {
        float rest = acceleration == NULL ? 0.0f : mean(acceleration + axis, samples, 3);
        for (uint32_t index = 0; index < samples; index++) {
            float moved = acceleration == NULL ? 0.0f : acceleration[index * 3 + axis] - rest;
            input[index * channels + 1 + axis] = to_grid(moved * settings->acceleration_gain, settings->zero_point);
        }
    }
}
