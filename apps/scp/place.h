/*
 * place.h - one source or target of scp(1): a local path, host:path, or a URI. No I/O.
 */
#ifndef SCP_PLACE_H
#define SCP_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct place {
    bool remote;
    char *user, *host; /* remote; user NULL: none given */
    uint16_t port;     /* remote; 0: none given */
    char *path;        /* local: as typed. Remote: "." when there is none */
} place;

/*
 * "[user@]host:[path]", "[user@][::1]:[path]" and "scp://[user@]host[:port][/path]" are remote; anything
 * else is local, also what has a '/' before its first ':'. A URI's path begins where one logs in; one that
 * begins with a second slash is absolute. False: why says what is wrong with it.
 */
bool place_parse(const char *text, place *out, char *why, size_t size);
void place_clear(place *p);
/* The same account on the same server, as far as the words tell. */
bool place_same_host(const place *a, const place *b);

/* ---- names: POSIX's basename without touching its argument ---- */

/*
 * What a copy of path is called inside a directory: its last part, without slashes behind it. "" for
 * "/", "." and "..", of which only what is in them is copied.
 */
char *name_of(const char *path); /* malloc'd; NULL: no memory */
/* dir/name, or dir alone when name is ""; malloc'd. */
char *name_in(const char *dir, const char *name);
/* A slash behind a name: it can only be a directory's. */
bool name_of_directory(const char *path);
/*
 * Where a remote path begins: "~" and "~/x" are the home directory, where a session begins. NULL: it needs
 * expanding ("~user").
 */
const char *name_from_home(const char *path);

#endif
