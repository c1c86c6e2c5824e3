/*
 * transfer_place.c - what tests of transfers share: local files in a directory of their own.
 */
#include "transfer_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

sftp_peer peer;
uint8_t content[LARGE + 256];
int place_fd;
static char dir[64];

int place_set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    umask(022);
    sftp_peer_init(&peer);
    snprintf(dir, sizeof(dir), "/tmp/nacre-xfer-XXXXXX");
    if (!mkdtemp(dir) || chdir(dir) != 0) {
        return -1;
    }
    place_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return place_fd >= 0 ? 0 : -1;
}

int place_tear_down(void **state)
{
    char name[32];
    (void)state;
    sftp_peer_clear(&peer);
    close(place_fd);
    unlink("target");
    unlink("source");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        unlink(name);
    }
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

unsigned local_files(void)
{
    DIR *d = opendir(".");
    unsigned n = 0;
    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n - 2; /* . and .. */
}

void write_local(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

bool local_holds(const char *name, const void *p, size_t n)
{
    static uint8_t got[LARGE + 512];
    FILE *f = fopen(name, "rb");
    bool same = f && fread(got, 1, sizeof(got), f) == n && memcmp(got, p, n) == 0;
    if (f) {
        fclose(f);
    }
    return same;
}

bool remote_holds(const char *name, const void *p, size_t n)
{
    const peer_file *f = sftp_peer_find(&peer, name);
    return f && f->size == n && (n == 0 || memcmp(f->data, p, n) == 0);
}

nacre_sftp *begin_session(void)
{
    nacre_sftp *s = NULL;
    assert_int_equal(sftp_peer_session(&peer, NULL, &s), NACRE_OK);
    return s;
}

nacre_sftp_transfer_options defaults(void)
{
    nacre_sftp_transfer_options o;
    nacre_sftp_transfer_options_init(&o);
    return o;
}
