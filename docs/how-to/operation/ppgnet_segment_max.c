/* The largest value of each of equal segments, channel by channel. */
#include "ppgnet_kernels.h"

void ppgnet_segment_max(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    const uint32_t *sizes = parameters; /* segments, rows of each, channels */
    uint32_t rows = sizes[1], channels = sizes[2];
    int8_t *to = output;
    (void)second;
    (void)scratch;
    for (uint32_t segment = 0; segment < sizes[0]; segment++, input += rows * channels) {
        for (uint32_t channel = 0; channel < channels; channel++) {
            int32_t largest = -128;
            for (uint32_t row = 0; row < rows; row++) {
                int32_t value = input[row * channels + channel];
                largest = value > largest ? value : largest;
            }
            *to++ = (int8_t)largest;
        }
    }
}
