/*
 * transfer_place.h - a directory of its own for each test of transfers, and the server in memory.
 */
#ifndef TEST_TRANSFER_PLACE_H
#define TEST_TRANSFER_PLACE_H

#include "sftp_peer.h"

enum { LARGE = 700001, MANY = 200 };

extern sftp_peer peer;
extern uint8_t content[LARGE + 256]; /* anything */
extern int place_fd;                 /* of the directory, which is the working directory */

int place_set_up(void **state);
int place_tear_down(void **state); /* fails when something unexpected is left behind */
unsigned local_files(void);
void write_local(const char *name, const void *p, size_t n);
bool local_holds(const char *name, const void *p, size_t n);
bool remote_holds(const char *name, const void *p, size_t n);
nacre_sftp *begin_session(void);
nacre_sftp_transfer_options defaults(void);

#endif
