/* Spectra of a window's signals at the heart rates, onto the network's int8 grid. hwmodels/signals/spectrum.py says what
   and why. Two real signals are transformed as one complex one. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

#include <stddef.h>

#define PADDED PPGNET_SPECTRUM_PADDED
#define SAMPLES PPGNET_SPECTRUM_SAMPLES
#define FIRST 16
#define STRETCHES 4
#define FEATURES PPGNET_SPECTRUM_FEATURES
#define PLACES PPGNET_SPECTRUM_PLACES

/* Cosine and sine of turn / PADDED turns, from the cosine's first quarter. */
PPGNET_INLINE void circle(const float *cosines, uint32_t turn, float *cosine, float *sine)
{
    uint32_t quarter = turn / (PADDED / 4), within = turn % (PADDED / 4);
    float down = cosines[within], up = cosines[PADDED / 4 - within];
    *cosine = quarter == 0 ? down : quarter == 1 ? -up : quarter == 2 ? -down : up;
    *sine = quarter == 0 ? up : quarter == 1 ? down : quarter == 2 ? -up : -down;
}

/* Discrete Fourier transform in place, decimation in frequency; turns stay below a half. */
PPGNET_UNIT void ppgnet_transform(float *real, float *imaginary, const float *cosines)
{
    for (uint32_t half = PADDED / 2; half != 0; half /= 2)
        for (uint32_t k = 0; k < half; k++) {
            float c, s;
            circle(cosines, k * (PADDED / 2 / half), &c, &s);
            for (uint32_t i = k; i < PADDED; i += 2 * half) {
                float r = real[i] - real[i + half], m = imaginary[i] - imaginary[i + half];
                real[i] += real[i + half];
                imaginary[i] += imaginary[i + half];
                real[i + half] = r * c + m * s;
                imaginary[i + half] = m * c - r * s;
            }
        }
}

PPGNET_INLINE float logarithm(float power)
{
    union {
        float value;
        int32_t bits;
    } floored = {power + 1e-4f};
    return ((float)floored.bits * 0x1p-23f - 127.0f + 6.0f) * 0.25f;
}

/* The powers of both signals at one frequency, in a transform of the two. */
PPGNET_INLINE void powers(const float *real, const float *imaginary, uint32_t frequency, float pair[2])
{
    uint32_t here = ppgnet_reversed_bits(frequency) >> PPGNET_SPECTRUM_UNUSED_BITS;
    uint32_t mirrored = ppgnet_reversed_bits(PADDED - frequency) >> PPGNET_SPECTRUM_UNUSED_BITS;
    float sum_r = real[here] + real[mirrored], sum_i = imaginary[here] + imaginary[mirrored];
    float less_r = real[here] - real[mirrored], less_i = imaginary[here] - imaginary[mirrored];
    pair[0] = sum_r * sum_r + less_i * less_i;
    pair[1] = sum_i * sum_i + less_r * less_r;
}

/* Two signals of `length` samples, or one and nothing, weighted by a Hann window and followed by zeros. */
PPGNET_INLINE void load(
    float *real, float *imaginary, const float *first, const float *second, uint32_t length, const float *cosines)
{
    for (uint32_t t = 0; t < PADDED; t++) {
        float c, s, weight;
        circle(cosines, t * (PADDED / length), &c, &s);
        weight = (0.5f - 0.5f * c) * (1.0f / (float)length);
        real[t] = t < length ? first[t] * weight : 0.0f;
        imaginary[t] = t < length && second != NULL ? second[t] * weight : 0.0f;
    }
}

/* Both signals' powers over one stretch, into the first of the stretch's two channels at every position. */
PPGNET_UNIT void ppgnet_spectrum_pair(
    const ppgnet_input_settings *settings, int8_t *to, const float *first, const float *second, uint32_t length)
{
    float real[PADDED], imaginary[PADDED], pair[2];
    load(real, imaginary, first, second, length, settings->spectrum->cosines);
    ppgnet_transform(real, imaginary, settings->spectrum->cosines);
    for (uint32_t position = 0; position < settings->spectrum->positions; position++, to += settings->channels)
        for (uint32_t harmonic = 0; harmonic < 2; harmonic++) {
            powers(real, imaginary, (FIRST + position) << harmonic, pair);
            to[harmonic] =
                ppgnet_to_grid(logarithm(pair[0]) * settings->inverse_scale, settings->zero_point);
            if (second != NULL)
                to[FEATURES + harmonic] =
                    ppgnet_to_grid(logarithm(pair[1]) * settings->inverse_scale, settings->zero_point);
        }
}

PPGNET_SMALL void ppgnet_prepare_spectrum(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration)
{
    float signals[4 * SAMPLES];
    uint32_t count = (settings->channels - PLACES) / FEATURES;
    ppgnet_prepare_signals(settings, signals, pulse, acceleration);
    for (uint32_t stretch = 0; stretch < STRETCHES; stretch++) {
        uint32_t length = stretch == 0 ? SAMPLES : SAMPLES / 2;
        const float *from = signals + (stretch < 2 ? 0 : SAMPLES / 4 * (stretch - 1));
        for (uint32_t one = 0; one < count; one += 2)
            ppgnet_spectrum_pair(
                settings, input + PLACES + one * FEATURES + stretch * 2, from + one * SAMPLES,
                one + 1 < count ? from + (one + 1) * SAMPLES : NULL, length);
    }
    for (uint32_t position = 0; position < settings->spectrum->positions; position++, input += settings->channels) {
        float wave = (float)position * (1.0f / 32.0f) - 1.6f;
        for (uint32_t place = 0; place < PLACES; place++, wave = (wave < 0.0f ? -wave : wave) * 2.0f - 1.6f)
            input[place] = ppgnet_to_grid(wave * settings->inverse_scale, settings->zero_point);
    }
}
