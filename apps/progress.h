/*
 * progress.h - the line on a terminal that shows how far transfers are: name, percent, bytes, speed, time
 * left. Any number of files may be on the way at once: the line shows one of them, and each leaves its
 * own line behind when it is through.
 *
 * Calls from one thread. A thread of its own redraws the line while nothing arrives, so that a stalled
 * transfer is seen to be one, and a new size of the window is noticed.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress progress;

/* NULL when stdout is no terminal: every other call takes that, and does nothing. */
progress *progress_start(void);
/* Ends the line, and frees. */
void progress_stop(progress *p);
/*
 * How far a file is; total UINT64_MAX: unknown. path is the file's name for these calls, its last part
 * is shown (raw bytes: they are escaped here). The first call for a path begins it: what is done then was
 * there before.
 */
void progress_step(progress *p, const char *path, uint64_t done, uint64_t total);
/* The file is through, or given up: its line stays, when it ever had one. */
void progress_end(progress *p, const char *path, bool good);
/* Removes the line, because something else is about to be printed; it comes back by itself. */
void progress_clear(progress *p);

#endif
