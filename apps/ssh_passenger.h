/*
 * ssh_passenger.h - nacre-ssh as a client of a master that has a connection already.
 */
#ifndef APPS_SSH_PASSENGER_H
#define APPS_SSH_PASSENGER_H

#include "ssh_mux.h"

/* As mux_use; client NULL: it must be there. */
bool passenger_run(ssh_mux *m, nacre_client **client, int *status);

#endif
