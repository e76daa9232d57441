/* The few DSP instructions that the kernels are made of, as functions: inline assembly on Arm cores that have
   them (Cortex-M4, M7, M33), plain C of the same meaning elsewhere. Little-endian machines only. */
#ifndef PPGNET_SHIM_H
#define PPGNET_SHIM_H

#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ppgnet needs a little-endian machine"
#endif

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define PPGNET_DSP 1
#else
#define PPGNET_DSP 0
#endif

#define PPGNET_INLINE static inline __attribute__((always_inline))

/* Marks functions that are linked by themselves; and of those, the ones whose size counts for more than their
   speed. */
#define PPGNET_UNIT __attribute__((noinline))
#if defined(__clang__)
#define PPGNET_SMALL __attribute__((minsize, noinline))
#else
#define PPGNET_SMALL __attribute__((optimize("Os"), noinline))
#endif

/* A word that may be read and written over bytes and halfwords. */
typedef uint32_t __attribute__((may_alias)) ppgnet_word;

#if PPGNET_DSP

PPGNET_INLINE uint32_t ppgnet_sxtb16(uint32_t x)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
}

PPGNET_INLINE uint32_t ppgnet_sxtb16_odd(uint32_t x)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smlad(uint32_t x, uint32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smla_bottoms(uint32_t x, uint32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smla_tops(uint32_t x, uint32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smmlar(int32_t x, int32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smmla(int32_t x, int32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smlaw_bottom(int32_t x, uint32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_smlaw_top(int32_t x, uint32_t y, int32_t sum)
{
    int32_t result;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

PPGNET_INLINE int32_t ppgnet_ssat8_twentieth(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #20" : "=r"(result) : "r"(x));
    return result;
}

PPGNET_INLINE int32_t ppgnet_ssat8_twelfth(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #12" : "=r"(result) : "r"(x));
    return result;
}

PPGNET_INLINE uint32_t ppgnet_pack_bytes(int32_t a, int32_t b, int32_t c, int32_t d)
{
    uint32_t word = (uint32_t)a;
    __asm__("bfi %0, %1, #8, #8" : "+r"(word) : "r"(b));
    __asm__("bfi %0, %1, #16, #8" : "+r"(word) : "r"(c));
    __asm__("bfi %0, %1, #24, #8" : "+r"(word) : "r"(d));
    return word;
}

PPGNET_INLINE uint32_t ppgnet_pack_bottoms(uint32_t low, uint32_t high)
{
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(low), "r"(high));
    return result;
}

PPGNET_INLINE uint32_t ppgnet_pack_tops(uint32_t low, uint32_t high)
{
    uint32_t result;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(high), "r"(low));
    return result;
}

PPGNET_INLINE int32_t ppgnet_ssat8_half(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(x));
    return result;
}

PPGNET_INLINE float ppgnet_square_root(float x)
{
    float result;
    __asm__("vsqrt.f32 %0, %1" : "=t"(result) : "t"(x));
    return result;
}

#else

PPGNET_INLINE int32_t ppgnet_half(uint32_t x, int top)
{
    return (int16_t)(uint16_t)(top ? x >> 16 : x);
}

PPGNET_INLINE uint32_t ppgnet_halves(int32_t top, int32_t bottom)
{
    return (uint32_t)top << 16 | ((uint32_t)bottom & 0xffffu);
}

PPGNET_INLINE uint32_t ppgnet_sxtb16(uint32_t x)
{
    return ppgnet_halves((int8_t)(uint8_t)(x >> 16), (int8_t)(uint8_t)x);
}

PPGNET_INLINE uint32_t ppgnet_sxtb16_odd(uint32_t x)
{
    return ppgnet_sxtb16(x >> 8);
}

PPGNET_INLINE int32_t ppgnet_smlad(uint32_t x, uint32_t y, int32_t sum)
{
    uint32_t low = (uint32_t)(ppgnet_half(x, 0) * ppgnet_half(y, 0));
    uint32_t high = (uint32_t)(ppgnet_half(x, 1) * ppgnet_half(y, 1));
    return (int32_t)((uint32_t)sum + low + high);
}

PPGNET_INLINE int32_t ppgnet_smla_bottoms(uint32_t x, uint32_t y, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(ppgnet_half(x, 0) * ppgnet_half(y, 0)));
}

PPGNET_INLINE int32_t ppgnet_smla_tops(uint32_t x, uint32_t y, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(ppgnet_half(x, 1) * ppgnet_half(y, 1)));
}

PPGNET_INLINE int32_t ppgnet_smmlar(int32_t x, int32_t y, int32_t sum)
{
    uint64_t wide = (uint64_t)((int64_t)x * y) + ((uint64_t)(uint32_t)sum << 32) + 0x80000000u;
    return (int32_t)(uint32_t)(wide >> 32);
}

PPGNET_INLINE int32_t ppgnet_smmla(int32_t x, int32_t y, int32_t sum)
{
    uint64_t wide = (uint64_t)((int64_t)x * y) + ((uint64_t)(uint32_t)sum << 32);
    return (int32_t)(uint32_t)(wide >> 32);
}

PPGNET_INLINE int32_t ppgnet_smlaw(int32_t x, int32_t y, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(((int64_t)x * y) >> 16));
}

PPGNET_INLINE int32_t ppgnet_smlaw_bottom(int32_t x, uint32_t y, int32_t sum)
{
    return ppgnet_smlaw(x, ppgnet_half(y, 0), sum);
}

PPGNET_INLINE int32_t ppgnet_smlaw_top(int32_t x, uint32_t y, int32_t sum)
{
    return ppgnet_smlaw(x, ppgnet_half(y, 1), sum);
}

PPGNET_INLINE int32_t ppgnet_saturated(int32_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

PPGNET_INLINE int32_t ppgnet_ssat8_twentieth(int32_t x)
{
    return ppgnet_saturated(x >> 20);
}

PPGNET_INLINE int32_t ppgnet_ssat8_twelfth(int32_t x)
{
    return ppgnet_saturated(x >> 12);
}

PPGNET_INLINE uint32_t ppgnet_pack_bytes(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return (uint8_t)a | (uint32_t)(uint8_t)b << 8 | (uint32_t)(uint8_t)c << 16 | (uint32_t)(uint8_t)d << 24;
}

PPGNET_INLINE uint32_t ppgnet_pack_bottoms(uint32_t low, uint32_t high)
{
    return (low & 0xffffu) | high << 16;
}

PPGNET_INLINE uint32_t ppgnet_pack_tops(uint32_t low, uint32_t high)
{
    return low >> 16 | (high & 0xffff0000u);
}

PPGNET_INLINE int32_t ppgnet_ssat8_half(int32_t x)
{
    return ppgnet_saturated(x >> 1);
}

PPGNET_INLINE float ppgnet_square_root(float x)
{
    return __builtin_sqrtf(x);
}

#endif

/* TFLite's requantization with its double rounding, for right shifts of 1 to 22 and a clamp to [-128, 127].
   `doubled` is twice the accumulator, `shift` one less than the right shift, and `offset` is
   (2 * zero point + 1) << shift: the zero point and the rounding constant of the last division.
   Nested floors merge, so the sign term is all that is left of "half away from zero". */
PPGNET_INLINE int32_t ppgnet_requantize(int32_t doubled, int32_t multiplier, int32_t shift, int32_t offset)
{
    return ppgnet_ssat8_half(ppgnet_smmlar(doubled, multiplier, offset + (doubled >> 31)) >> shift);
}

PPGNET_INLINE int32_t ppgnet_larger(int32_t a, int32_t b)
{
    int32_t difference = a - b;
    return a - (difference & (difference >> 31));
}

/* TFLite's MultiplyByQuantizedMultiplier as it stands. */
PPGNET_INLINE int32_t ppgnet_multiply(int32_t x, int32_t multiplier, int32_t shift)
{
    int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    int32_t shifted = (int32_t)((uint32_t)x << left);
    int64_t product = (int64_t)shifted * multiplier;
    int32_t high = (int32_t)((product + (1 << 30)) >> 31);
    int32_t mask = (int32_t)((1u << right) - 1u), threshold = (mask >> 1) - (high >> 31);
    return (high >> right) - ((threshold - (high & mask)) >> 31);
}

/* To the int8 range above `lowest`. */
PPGNET_INLINE int32_t ppgnet_clamp(int32_t x, int32_t lowest)
{
    x = ppgnet_larger(x, lowest);
    return -ppgnet_larger(-x, -127);
}

/* Half away from zero onto the int8 grid; NaN becomes the lowest value. */
PPGNET_INLINE int8_t ppgnet_to_grid(float steps, int32_t zero_point)
{
    steps = steps >= -512.0f ? steps : -512.0f;
    steps = steps <= 512.0f ? steps : 512.0f;
    int32_t rounded = (int32_t)(steps + (steps >= 0.0f ? 0.5f : -0.5f)) + zero_point;
    return (int8_t)-ppgnet_larger(-ppgnet_larger(rounded, -128), -127);
}

#endif
