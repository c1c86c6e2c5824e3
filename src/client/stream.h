/*
 * stream.h - what channels.c tells a nacre_stream that stands on one of its channels.
 */
#ifndef NC_CLIENT_STREAM_H
#define NC_CLIENT_STREAM_H

#include "nacre/stream.h"

/* Something came, was read or ended: the event descriptor shows it. */
void nc_stream_changed(nacre_stream *s);
/* Its channel is about to be freed. */
void nc_stream_orphan(nacre_stream *s);

#endif
