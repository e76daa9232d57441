/* What the example asks of a board; board.c holds places to fill in. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Sleep until a sensor's FIFO asks to be read. */
void board_sleep(void);
/* Read what the sensor holds, at most `most` frames; returns how many there were. */
uint32_t board_read_ppg(int16_t *samples, uint32_t most);
uint32_t board_read_acc(int16_t *samples, uint32_t most);
/* A heart rate in BPM, or 0 with the reasons why there is none. */
void board_show(int32_t heart_rate_bpm, uint32_t invalid);
/* A counter of core cycles, wrapping around. */
uint32_t board_cycles(void);
/* Through a debugger's semihosting: a line of text, and the end of the program. */
void board_print(const char *text);
void board_exit(int code);

#endif
