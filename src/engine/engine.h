/*
 * engine.h - the inside of the public transport object, for engine.c and for tests that look at, or
 * misuse, one of its parts.
 */
#ifndef NC_ENGINE_ENGINE_H
#define NC_ENGINE_ENGINE_H

#include "auth/auth.h"
#include "channel/mux.h"
#include "transport/core.h"

struct nacre_transport {
    nc_core *core;
    nc_auth *auth;
    nc_mux *mux;
    const nacre_allocator *alloc;
};

#endif
