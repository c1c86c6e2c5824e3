/*
 * fake_engine.h - an engine as drivers and relays see one, without cryptography: one channel, frames in
 * the clear. What it does not do, it does not pretend; what it does, obeys nacre/transport.h.
 */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "nacre/channel.h"

nacre_transport *fake_transport_new(void);
nacre_channel *fake_channel(nacre_transport *t);

#endif
