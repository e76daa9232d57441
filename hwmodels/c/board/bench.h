/* One kernel call of the look-up table, and what a board may supply instead of the defaults. */
#ifndef BENCH_H
#define BENCH_H

#include "ppgnet_kernels.h"

/* A part of a call's constants: words from `first` on. Those with pointers are copied to RAM and filled in. */
typedef struct {
    uint32_t first, count, has_pointers;
} bench_piece;

/* Word `word` of a call's constants points to its piece `piece`. */
typedef struct {
    uint32_t word, piece;
} bench_slot;

/* Offsets are bytes into the arena; `arena_bytes` of it are filled with noise before the call. */
typedef struct {
    const char *key;
    ppgnet_kernel *kernel;
    const uint32_t *words;
    const bench_piece *pieces;
    const bench_slot *slots;
    uint32_t piece_count, slot_count;
    uint32_t first, second, output, scratch, arena_bytes;
} bench_call;

extern const bench_call bench_calls[];
extern const uint32_t bench_call_count;
extern const char bench_header[];
extern uint32_t bench_arena[], bench_constants[];

/* Clocks and wait states. Weak and empty in board.c. */
void board_init(void);
/* One character of the result. board.c sends it to the debugger by semihosting. */
void board_putchar(char character);
/* A counter of core cycles; board.c reads DWT->CYCCNT. */
void board_start_counter(void);
uint32_t board_counter(void);
/* What happens at the end; board.c reports to the debugger. */
void board_finished(void);

#endif
