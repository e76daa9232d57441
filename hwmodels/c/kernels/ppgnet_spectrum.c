/* Spectra of a window's signals at the heart rates, onto the network's int8 grid. hwmodels/signals/spectrum.py says
   what and why. Complex numbers are pairs of floats, and turns are positive: only magnitudes matter. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"


#define PADDED PPGNET_SPECTRUM_PADDED
#define SAMPLES PPGNET_SPECTRUM_SAMPLES
#define RADIX 16
#define RESIDUES (RADIX + 1)
#define FIRST 16
#define GROUPS 5
#define STRETCHES 4
#define FEATURES PPGNET_SPECTRUM_FEATURES
#define PLACES PPGNET_SPECTRUM_PLACES
#define HALF 0x1.6a09e6p-1f
#define LONG 0x1.d906bcp-1f
#define SHORT 0x1.87de2ap-2f

/* What all signals and stretches share: the phase factors of a fold's blocks for residues 0 to 4, and the turns of
   RADIX samples for the residues that are transformed, 0, 8, 16; 1, 9, 17, 25; .. */
struct ppgnet_turns {
    float folds[GROUPS][16], samples[RESIDUES][2 * RADIX];
};
typedef struct ppgnet_turns turns;

typedef struct {
    float r, i;
} complex;

/* Cosine and sine of turn / PADDED turns, from the cosine's first quarter. */
PPGNET_INLINE void circle(const float *cosines, uint32_t turn, float *found)
{
    uint32_t quarter = turn / (PADDED / 4), within = turn % (PADDED / 4);
    float down = cosines[within], up = cosines[PADDED / 4 - within];
    found[0] = quarter == 0 ? down : quarter == 1 ? -up : quarter == 2 ? -down : up;
    found[1] = quarter == 0 ? up : quarter == 1 ? down : quarter == 2 ? -up : -down;
}

PPGNET_INLINE uint32_t residues_of(uint32_t group)
{
    return group == 0 ? 3 : group == GROUPS - 1 ? 2 : 4;
}

PPGNET_SMALL void ppgnet_make_turns(struct ppgnet_turns *made, const float *cosines)
{
    float *to = made->samples[0];
    for (uint32_t group = 0; group < GROUPS; group++) {
        for (uint32_t block = 0; block < 8; block++)
            circle(cosines, RADIX * group * block, made->folds[group] + 2 * block);
        for (uint32_t residue = group; residue < group + 8 * residues_of(group); residue += 8)
            for (uint32_t at = 0; at < RADIX; at++, to += 2)
                circle(cosines, residue * at, to);
    }
}

PPGNET_INLINE complex load(const float *from)
{
    complex found = {from[0], from[1]};
    return found;
}

PPGNET_INLINE void store(float *to, complex value)
{
    to[0] = value.r;
    to[1] = value.i;
}

PPGNET_INLINE complex times(complex value, float cosine, float sine)
{
    complex found = {value.r * cosine - value.i * sine, value.r * sine + value.i * cosine};
    return found;
}

PPGNET_INLINE complex sum(complex a, complex b)
{
    complex found = {a.r + b.r, a.i + b.i};
    return found;
}

/* The transform of four, in place. */
PPGNET_INLINE void butterfly(complex *a, complex *b, complex *c, complex *d)
{
    complex e = sum(*a, *c), f = {a->r - c->r, a->i - c->i}, g = sum(*b, *d), h = {b->r - d->r, b->i - d->i};
    a->r = e.r + g.r, a->i = e.i + g.i;
    b->r = f.r - h.i, b->i = f.i + h.r;
    c->r = e.r - g.r, c->i = e.i - g.i;
    d->r = f.r + h.i, d->i = f.i - h.r;
}

PPGNET_INLINE complex turned(float value, const float *turn)
{
    complex found = {value * turn[0], value * turn[1]};
    return found;
}

/* One sample of each block to one for each residue of the group. */
PPGNET_INLINE void fold_one(float *to, const float *from, const float *turn, uint32_t length)
{
    complex a = {from[0], 0.0f}, b = turned(from[RADIX], turn + 2), c = turned(from[2 * RADIX], turn + 4);
    complex d = turned(from[3 * RADIX], turn + 6);
    if (length == SAMPLES) {
        a = sum(a, turned(from[4 * RADIX], turn + 8));
        b = sum(b, turned(from[5 * RADIX], turn + 10));
        c = sum(c, turned(from[6 * RADIX], turn + 12));
        d = sum(d, turned(from[7 * RADIX], turn + 14));
    }
    butterfly(&a, &b, &c, &d);
    store(to, a);
    store(to + 2 * RADIX, b);
    store(to + 4 * RADIX, c);
    store(to + 6 * RADIX, d);
}

/* The fold of residues 0, 8 and 16, whose phase factors are quarters of a turn. */
PPGNET_UNIT void ppgnet_fold_first(float *restrict to, const float *restrict from, uint32_t length)
{
    for (const float *end = from + RADIX; from != end; to += 2, from++) {
        float a = from[0], b = from[RADIX], c = from[2 * RADIX], d = from[3 * RADIX];
        if (length == SAMPLES) {
            a += from[4 * RADIX], b += from[5 * RADIX];
            c += from[6 * RADIX], d += from[7 * RADIX];
        }
        float e = a + c, g = b + d;
        complex sums = {e + g, 0.0f}, quarters = {a - c, b - d}, differences = {e - g, 0.0f};
        store(to, sums);
        store(to + 2 * RADIX, quarters);
        store(to + 4 * RADIX, differences);
    }
}

/* Half a window of real samples to four times RADIX complex ones; and a whole window. */
PPGNET_UNIT void ppgnet_fold_half(float *restrict to, const float *restrict from, const float *restrict turn)
{
    for (const float *end = from + RADIX; from != end; to += 4, from += 2) {
        fold_one(to, from, turn, SAMPLES / 2);
        fold_one(to + 2, from + 1, turn, SAMPLES / 2);
    }
}

PPGNET_UNIT void ppgnet_fold_whole(float *restrict to, const float *restrict from, const float *restrict turn)
{
    for (const float *end = from + RADIX; from != end; to += 2, from++)
        fold_one(to, from, turn, SAMPLES);
}

/* Four values of a column, turned, and their butterfly. The first value of all is never turned. */
PPGNET_INLINE void column(const float *at, const float *turn, uint32_t number, complex *found)
{
    complex a = load(at), b = times(load(at + 8), turn[8], turn[9]);
    complex c = times(load(at + 16), turn[16], turn[17]), d = times(load(at + 24), turn[24], turn[25]);
    if (number != 0)
        a = times(a, turn[0], turn[1]);
    butterfly(&a, &b, &c, &d);
    found[0] = a, found[1] = b, found[2] = c, found[3] = d;
}

PPGNET_INLINE void store_column(float *to, complex a, complex b, complex c, complex d)
{
    store(to, a);
    store(to + 8, b);
    store(to + 16, c);
    store(to + 24, d);
}

PPGNET_INLINE complex quarter_turned(complex value)
{
    complex found = {-value.i, value.r};
    return found;
}

/* The squared magnitude, with the floor that logarithms need. */
PPGNET_INLINE float power(complex value)
{
    return value.r * value.r + value.i * value.i + 1e-4f;
}

/* The second butterfly of one row. */
PPGNET_INLINE void row(const float *values, float *up, float *down, int is_even)
{
    complex a = load(values), b = load(values + 2), c = load(values + 4), d = load(values + 6);
    butterfly(&a, &b, &c, &d);
    up[0] = power(a);
    if (is_even) {
        up[PADDED / 4] = power(b);
        down[PADDED / 4] = power(c);
    }
    down[0] = power(d);
}

/* The transform of RADIX values, in place of them; powers at 32 a + residue and their mirror images, of which nobody
   reads odd ones from PADDED / 4 on. */
PPGNET_UNIT void ppgnet_residue(
    float *restrict values, const float *restrict turn, float *restrict powers, uint32_t residue)
{
    complex found[4];
    column(values, turn, 0, found);
    store_column(values, found[0], found[1], found[2], found[3]);
    column(values + 2, turn + 2, 1, found);
    store_column(
        values + 2, found[0], times(found[1], LONG, SHORT), times(found[2], HALF, HALF), times(found[3], SHORT, LONG));
    column(values + 4, turn + 4, 2, found);
    store_column(
        values + 4, found[0], times(found[1], HALF, HALF), quarter_turned(found[2]), times(found[3], -HALF, HALF));
    column(values + 6, turn + 6, 3, found);
    store_column(
        values + 6, found[0], times(found[1], SHORT, LONG), times(found[2], -HALF, HALF),
        times(found[3], -LONG, -SHORT));
    float *up = powers + residue, *down = powers + PADDED / 4 - residue;
    const float *end = values + 2 * RADIX;
    if (residue % 2 == 0)
        for (; values != end; values += 8, up += 32, down -= 32)
            row(values, up, down, 1);
    else
        for (; values != end; values += 8, up += 32, down -= 32)
            row(values, up, down, 0);
}

/* A stretch under a Hann window, scaled by twice the reciprocal of its length. */
PPGNET_UNIT void ppgnet_weigh(
    float *restrict to, const float *restrict from, uint32_t length, const float *restrict cosines)
{
    float mean = 1.0f / (float)length;
    uint32_t half = length / 2, step = PADDED / length;
    to[0] = 0.0f * from[0];
    to[half] = 2.0f * mean * from[half];
    for (uint32_t t = 1; t <= half / 2; t++) {
        float wave = mean * cosines[t * step], low = mean - wave, high = mean + wave;
        float first = from[t] * low, last = from[length - t] * low;
        float before = from[half - t] * high, behind = from[half + t] * high;
        to[t] = first;
        to[half - t] = before;
        to[half + t] = behind;
        to[length - t] = last;
    }
}

/* Onto the grid; the addend makes NaN of either sign lower than any number. */
PPGNET_INLINE int32_t power_step(uint32_t bits, int32_t slope, int32_t offset)
{
    return ppgnet_ssat8_twelfth(ppgnet_smmla((int32_t)(bits + 0x7fffffu), slope, offset));
}

/* One signal's powers over one stretch, into the stretch's two channels at every position. */
PPGNET_UNIT void ppgnet_spectrum_stretch(
    const ppgnet_input_settings *settings, int8_t *to, const float *signal, uint32_t length,
    const struct ppgnet_turns *made)
{
    float weighted[SAMPLES], folded[8 * RADIX], powers[PADDED / 2 + 1];
    const ppgnet_spectrum *spectrum = settings->spectrum;
    const float *turn = made->samples[0];
    ppgnet_weigh(weighted, signal, length, spectrum->cosines);
    for (uint32_t group = 0; group < GROUPS; group++) {
        if (group == 0)
            ppgnet_fold_first(folded, weighted, length);
        else if (length == SAMPLES)
            ppgnet_fold_whole(folded, weighted, made->folds[group]);
        else
            ppgnet_fold_half(folded, weighted, made->folds[group]);
        for (uint32_t one = 0; one < residues_of(group); one++, turn += 2 * RADIX)
            ppgnet_residue(folded + 2 * RADIX * one, turn, powers, group + 8 * one);
    }
    const ppgnet_word *bits = (const ppgnet_word *)powers + FIRST, *twice = bits + FIRST;
    const ppgnet_word *end = bits + spectrum->positions;
    int32_t slope = spectrum->slope, offset = spectrum->offset;
    for (uint32_t channels = settings->channels; bits != end; to += channels, twice += 2) {
        int32_t first = power_step(*bits++, slope, offset), second = power_step(*twice, slope, offset);
        to[0] = (int8_t)first;
        to[1] = (int8_t)second;
    }
}

/* What tells positions apart, in whole numbers. */
PPGNET_UNIT void ppgnet_places(const ppgnet_input_settings *settings, int8_t *input)
{
    int32_t slope = settings->spectrum->place_slope, offset = settings->spectrum->place_offset, wave = -256;
    uint32_t channels = settings->channels;
    for (uint32_t left = settings->spectrum->positions; left != 0; left--, wave += 5, input += channels) {
        int32_t second = 2 * (wave < 0 ? -wave : wave) - 256, third = 2 * (second < 0 ? -second : second) - 256;
        int32_t fourth = 2 * (third < 0 ? -third : third) - 256;
        input[0] = (int8_t)ppgnet_ssat8_twentieth(wave * slope + offset);
        input[1] = (int8_t)ppgnet_ssat8_twentieth(second * slope + offset);
        input[2] = (int8_t)ppgnet_ssat8_twentieth(third * slope + offset);
        input[3] = (int8_t)ppgnet_ssat8_twentieth(fourth * slope + offset);
    }
}

PPGNET_SMALL void ppgnet_spectra(const ppgnet_input_settings *settings, int8_t *input, const float *signals)
{
    turns made;
    uint32_t count = (settings->channels - PLACES) / FEATURES;
    ppgnet_make_turns(&made, settings->spectrum->cosines);
    ppgnet_places(settings, input);
    for (uint32_t one = 0; one < count * STRETCHES; one++) {
        uint32_t stretch = one % STRETCHES, start = stretch < 2 ? 0 : SAMPLES / 4 * (stretch - 1);
        ppgnet_spectrum_stretch(
            settings, input + PLACES + 2 * one, signals + one / STRETCHES * SAMPLES + start,
            stretch == 0 ? SAMPLES : SAMPLES / 2, &made);
    }
}

PPGNET_SMALL void ppgnet_prepare_spectrum(
    const ppgnet_input_settings *settings, int8_t *input, const float *pulse, const float *acceleration)
{
    float signals[4 * SAMPLES];
    ppgnet_prepare_signals(settings, signals, pulse, acceleration);
    ppgnet_spectra(settings, input, signals);
}
