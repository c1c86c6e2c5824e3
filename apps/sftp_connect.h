/*
 * sftp_connect.h - an SFTP session for a program: over the library's own connection, over the stdin and stdout
 * of an ssh program, or with an SFTP server program on this machine.
 */
#ifndef SFTP_CONNECT_H
#define SFTP_CONNECT_H

#include "nacre/sftp.h"

typedef struct connect_options {
    const char *name;               /* of the program, in front of messages */
    const char *program;            /* -S; NULL: the library connects */
    const char *const *ssh_options; /* words for that program: "-o", "Keyword=value" ... */
    size_t ssh_option_count;
    const char *server;    /* -D: this program (a command line), no connection */
    const char *subsystem; /* -s; NULL: sftp; with a '/': a program over there */
    const char *user, *host;
    uint16_t port;           /* 0: what the configuration says */
    const char *config_file; /* -F */
    const char *const *o;    /* -o and what stands for one: "Keyword=value" */
    size_t o_count;
    bool batch;        /* nothing is asked */
    int verbose;       /* -1 quiet, 0, 1 ... */
    uint32_t max_data; /* of one request; 0: what the server takes */
    nacre_loop *loop;  /* of the library's connection; NULL: its own */
} connect_options;

typedef struct connection connection;
/* The session, which connection_close ends; NULL: told on stderr. What o points to must stay for as long. */
nacre_sftp *connection_open(connection **out, const connect_options *o);
/* The library's connection alone, logged in, for what needs no SFTP. Likewise. */
nacre_client *connection_login(connection **out, const connect_options *o);
void connection_close(connection *c); /* NULL ok */
/* The program at the other end of the session's pipes, 0: none. */
int connection_child(const connection *c);
/* The library's connection under the session, NULL with -S and -D. */
nacre_client *connection_client(const connection *c);

#endif
