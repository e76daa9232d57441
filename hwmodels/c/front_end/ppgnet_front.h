/* The integer filters between a sensor and the network, and what a bundle knows of its sensors. */
#ifndef PPGNET_FRONT_H
#define PPGNET_FRONT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A polyphase filter: output k is the input at k * down / up. Half of its symmetric impulse response, the middle
   included, in 1 / 2^shift; outputs have `gain_bits` more fraction bits than inputs. */
typedef struct {
    const int16_t *coefficients;
    uint16_t up, down, half, taps;
    uint8_t shift, gain_bits;
} ppgnet_resampler;

/* What a sensor gives: frames of `channels` values from `lowest` to `highest`, and from which of them on the skin
   is in reach (contact) or the sensor at its end (range). */
typedef struct {
    int16_t lowest, highest, contact_lowest, contact_highest;
} ppgnet_range;

/* Rates in 1/1000 Hz. A watch of PPG alone has acc_millihz 0. */
typedef struct {
    uint32_t ppg_millihz, ppg_channels, acc_millihz, acc_counts_per_g;
} ppgnet_sensors;

typedef struct {
    ppgnet_sensors sensors;
    ppgnet_range ppg_range, acc_range;
    ppgnet_resampler ppg, thin, acc;
    const int32_t *sections; /* b0, b1, b2, -a1, -a2 in 1 / 2^29, for each */
    float acc_unit;          /* g per count, less the fraction bits */
    uint32_t most_marked;    /* samples of a window that may be marked before it is invalid */
} ppgnet_front_settings;

#ifdef __cplusplus
}
#endif

#endif
