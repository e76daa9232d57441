/* Bytes that move: into a place of a larger tensor, between padding, in another order. */
#include "ppgnet_foreign.h"
#include "ppgnet_shim.h"

/* A word anywhere: rows of channels that are no four start between word boundaries. */
typedef uint32_t __attribute__((may_alias, aligned(1))) loose_word;

PPGNET_INLINE int8_t *moved(int8_t *to, const int8_t *from, uint32_t bytes)
{
    for (; bytes >= 4; bytes -= 4, to += 4, from += 4)
        *(loose_word *)to = *(const loose_word *)from;
    for (; bytes != 0; bytes--)
        *to++ = *from++;
    return to;
}

PPGNET_INLINE int8_t *filled(int8_t *to, uint32_t word, uint32_t bytes)
{
    for (; bytes >= 4; bytes -= 4, to += 4)
        *(loose_word *)to = word;
    for (; bytes != 0; bytes--)
        *to++ = (int8_t)word;
    return to;
}

void ppgnet_copy_runs(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_copy_parameters *copy = parameters;
    int8_t *out = output;
    for (uint32_t run = copy->runs; run != 0; run--, input += copy->step_in, out += copy->step_out)
        moved(out, input, copy->bytes);
}

void ppgnet_pad(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_pad_parameters *pad = parameters;
    uint32_t word = ((uint32_t)pad->value & 255u) * 0x01010101u;
    int8_t *out = filled(output, word, pad->before);
    for (uint32_t row = pad->rows; row != 0; row--, input += pad->bytes)
        out = filled(moved(filled(out, word, pad->left), input, pad->bytes), word, pad->right);
    filled(out, word, pad->after);
}

void ppgnet_plain_move(const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_move_parameters *move = parameters;
    int8_t *out = output;
    for (uint32_t last = 0; last < move->sizes[3]; last++) {
        const int8_t *plane = input + (int32_t)last * move->steps[3];
        for (uint32_t third = 0; third < move->sizes[2]; third++, plane += move->steps[2]) {
            const int8_t *row = plane;
            for (uint32_t other = 0; other < move->sizes[1]; other++, row += move->steps[1]) {
                const int8_t *next = row;
                for (uint32_t first = move->sizes[0]; first != 0; first--, next += move->steps[0])
                    *out++ = *next;
            }
        }
    }
}
