/* Pooling over windows along time that may overlap and reach beyond the input. */
#include "ppgnet_foreign.h"
#include "ppgnet_shim.h"

typedef struct {
    uint32_t first, count;
} span;

PPGNET_INLINE span inside(const ppgnet_window_parameters *window, uint32_t position)
{
    int32_t start = (int32_t)(position * window->stride) - (int32_t)window->padding_before;
    int32_t first = ppgnet_larger(start, 0);
    int32_t end = -ppgnet_larger(-(start + (int32_t)window->kernel), -(int32_t)window->length_in);
    return (span){(uint32_t)first, (uint32_t)(end - first)};
}

PPGNET_INLINE uint32_t larger_bytes(uint32_t a, uint32_t b)
{
#if PPGNET_DSP
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
#else
    uint32_t result = 0;
    for (uint32_t shift = 0; shift < 32; shift += 8)
        result |= (uint32_t)(uint8_t)ppgnet_larger((int8_t)(uint8_t)(a >> shift), (int8_t)(uint8_t)(b >> shift)) << shift;
    return result;
#endif
}

/* Channels in fours. */
void ppgnet_max_pool(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_window_parameters *window = parameters;
    uint32_t words = window->channels / 4;
    ppgnet_word *out = output;
    for (uint32_t position = 0; position < window->length_out; position++) {
        span rows = inside(window, position);
        const ppgnet_word *row = (const ppgnet_word *)input + rows.first * words;
        for (uint32_t word = 0; word < words; word++, row++) {
            const ppgnet_word *next = row;
            uint32_t largest = *next;
            for (uint32_t left = rows.count - 1; left != 0; left--) {
                next += words;
                largest = larger_bytes(largest, *next);
            }
            *out++ = largest;
        }
    }
}

void ppgnet_plain_max_pool(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_window_parameters *window = parameters;
    int8_t *out = output;
    for (uint32_t position = 0; position < window->length_out; position++) {
        span rows = inside(window, position);
        for (uint32_t channel = 0; channel < window->channels; channel++) {
            const int8_t *next = input + rows.first * window->channels + channel;
            int32_t largest = -128;
            for (uint32_t left = rows.count; left != 0; left--, next += window->channels)
                largest = ppgnet_larger(largest, *next);
            *out++ = (int8_t)largest;
        }
    }
}

/* Half away from zero. */
void ppgnet_plain_average(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_window_parameters *window = parameters;
    int8_t *out = output;
    for (uint32_t position = 0; position < window->length_out; position++) {
        span rows = inside(window, position);
        int32_t count = (int32_t)rows.count;
        for (uint32_t channel = 0; channel < window->channels; channel++) {
            const int8_t *next = input + rows.first * window->channels + channel;
            int32_t sum = 0;
            for (uint32_t left = rows.count; left != 0; left--, next += window->channels)
                sum += *next;
            int32_t sign = sum >> 31;
            *out++ = (int8_t)((sum + ((count / 2) ^ sign) - sign) / count);
        }
    }
}
