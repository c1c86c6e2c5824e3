/*
 * x11.h - connections to an X display.
 */
#ifndef NC_IO_X11_H
#define NC_IO_X11_H

#include "nacre/net.h"
#include "nacre/x11.h"

/*
 * By its socket: *fd is there at once. By TCP: *fd is -1, and fn gets it from the loop, unless *waiting is
 * cancelled before (nacre_net_connect_cancel).
 */
int nc_x11_dial(const nacre_x11_display *d, nacre_loop *loop, const nacre_allocator *a, int *fd,
                nacre_connecting **waiting, nacre_connect_fn fn, void *user,
                nacre_error *err) NACRE_MUST_CHECK;

#endif
