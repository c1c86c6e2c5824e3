/*
 * lend.h - how long the bytes of an event stay. For everybody until the next event; for who steps the engine and asks,
 * often until input is read.
 */
#ifndef NC_ENGINE_LEND_H
#define NC_ENGINE_LEND_H

#include "nacre/transport.h"

/*
 * The bytes of the present event lie where they were received and decrypted: nothing moves or changes them before
 * nacre_transport_recv_buffer or nacre_transport_free is called. False for what was inflated.
 */
bool nc_transport_keeps(const nacre_transport *t, nacre_span bytes);

#endif
