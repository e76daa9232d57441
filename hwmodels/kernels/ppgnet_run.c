/* The loop over a network's steps, and the way from one window of sensor samples to its int8 input. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

#include <stddef.h>

PPGNET_SMALL void ppgnet_execute(
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
PPGNET_INLINE int8_t to_grid(float steps, int32_t zero_point)
{
    steps = steps >= -512.0f ? steps : -512.0f;
    steps = steps <= 512.0f ? steps : 512.0f;
    int32_t rounded = (int32_t)(steps + (steps >= 0.0f ? 0.5f : -0.5f)) + zero_point;
    return (int8_t)-ppgnet_larger(-ppgnet_larger(rounded, -128), -127);
}

PPGNET_SMALL void ppgnet_prepare_window(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration)
{
    const float nothing = 0.0f;
    uint32_t samples = settings->samples, channels = settings->channels;
    for (uint32_t channel = 0; channel < channels; channel++) {
        const float *values = pulse;
        uint32_t step = 1;
        if (channel != 0) {
            values = acceleration != NULL ? acceleration + channel - 1 : &nothing;
            step = acceleration != NULL ? 3 : 0;
        }
        float centre = 0.0f, squares = 0.0f, gain = settings->acceleration_gain;
        for (uint32_t index = 0; index < samples; index++)
            centre += values[index * step];
        centre /= (float)samples;
        if (channel == 0) {
            for (uint32_t index = 0; index < samples; index++) {
                float moved = values[index] - centre;
                squares += moved * moved;
            }
            float deviation = ppgnet_square_root(squares / (float)samples);
            deviation = deviation > 1e-6f ? deviation : 1e-6f;
            gain = 1.0f / (deviation * settings->scale);
        }
        int8_t *out = input + channel;
        for (uint32_t index = settings->skipped; index < samples; index++, out += channels)
            *out = to_grid((values[index * step] - centre) * gain, settings->zero_point);
    }
}
