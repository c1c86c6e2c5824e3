/*
 * loop.h - what drivers and relays use of the loop beyond its public face: tasks that run before the
 * loop waits.
 */
#ifndef NC_IO_LOOP_H
#define NC_IO_LOOP_H

#include "nacre/loop.h"

/*
 * A task is embedded in its owner. Deferred, it runs once before the loop waits again; deferring it
 * twice is once. It must be undeferred before its memory goes.
 */
typedef struct nc_task {
    struct nc_task *next, *prev;
    void (*fn)(void *user);
    void *user;
    bool queued;
} nc_task;
/* A ring of tasks, NULL when empty: added at the end, once. */
void nc_tasks_add(nc_task **ring, nc_task *task);
void nc_tasks_remove(nc_task **ring, nc_task *task);
void nc_loop_defer(nacre_loop *loop, nc_task *task);
void nc_loop_undefer(nacre_loop *loop, nc_task *task);
/*
 * A wait shorter than poll's unit, for who would rather be woken once than for every packet: the task runs when the
 * time is over, unless it is called off. us: below a millisecond.
 */
typedef struct nc_nap {
    nc_task task;
    uint64_t until; /* ns */
} nc_nap;
void nc_loop_nap(nacre_loop *loop, nc_nap *nap, unsigned us);
void nc_loop_unnap(nacre_loop *loop, nc_nap *nap);

/*
 * driver.c: the task runs once when the events that there are now have been dealt with, and before more is read: what
 * nc_transport_keeps of their bytes is still there.
 */
void nc_driver_defer(nacre_driver *d, nc_task *task);
void nc_driver_undefer(nacre_driver *d, nc_task *task);
/*
 * From a deferred task, by whom these events were for: much is coming in and nothing is answered, so input may be left
 * alone for a moment, that more is read at once. Everything else wakes us as ever; nacre_driver_kick ends the rest.
 */
void nc_driver_rest(nacre_driver *d);
const nacre_allocator *nc_loop_allocator(const nacre_loop *loop);

/* timers.h's heap, kept in the loop. */
typedef struct nc_timer {
    uint64_t at;  /* ms */
    uint64_t seq; /* equal times fire in the order they were set; also the id */
    nacre_timer_fn fn;
    void *user;
} nc_timer;

typedef struct nc_timers {
    const nacre_allocator *alloc;
    nc_timer *heap;
    size_t len, cap;
    uint64_t last_id;
} nc_timers;
int nc_timers_add(nc_timers *t, uint64_t at, nacre_timer_fn fn, void *user,
                  uint64_t *id) NACRE_MUST_CHECK;
void nc_timers_cancel(nc_timers *t, uint64_t id);
/* Takes the first timer that is due at now and was set before limit_id; false: none. */
bool nc_timers_pop(nc_timers *t, uint64_t now, uint64_t limit_id, nc_timer *out);
uint64_t nc_timers_next(const nc_timers *t); /* UINT64_MAX: none */
void nc_timers_clear(nc_timers *t);

/* signals.c: process-wide signal handlers that wake a loop. */
int nc_signals_claim(nacre_loop *loop, int signo, int wake_fd, nacre_error *err) NACRE_MUST_CHECK;
void nc_signals_release(nacre_loop *loop, int signo);
bool nc_signals_take(int signo); /* arrived since the last take? */
enum { NC_SIGNAL_MAX = 65 };     /* numbers are below it */

#endif
