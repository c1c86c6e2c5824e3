/* Both machines, joined by pipes of every width: what goes in comes out. */
#include "../sftp/mem_pipe.h"
#include "scp_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const script_thing tree[] = {
    {.kind = NC_SCP_DIR, .name = "top", .mode = 0755, .has_times = true, .mtime = 1, .atime = 2},
    {.kind = NC_SCP_FILE, .name = "empty", .mode = 0644, .size = 0},
    {.kind = NC_SCP_FILE, .name = "big", .mode = 0600, .size = 80000, .has_times = true},
    {.kind = NC_SCP_DIR, .name = "inner", .mode = 0700},
    {.kind = NC_SCP_FILE, .name = "no", .mode = 0644, .size = 5000},
    {.kind = NC_SCP_FILE, .name = "short", .mode = 0644, .size = 5000, .missing = 4000},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_DIR, .name = "unwanted", .mode = 0700},
    {.kind = NC_SCP_FILE, .name = "unseen", .mode = 0644, .size = 5000},
    {.kind = NC_SCP_DIR, .name = "deeper", .mode = 0700},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_FILE, .name = "full", .mode = 0644, .size = 70000},
    {.kind = NC_SCP_NOTE, .name = "", .note = "gone: No such file"},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_FILE, .name = "last", .mode = 0644, .size = 1}};

static const char received[] = "dir top 0755 0 1 2\n"
                               "file empty 0644 0\nwhole 0\n"
                               "file big 0600 80000 0 0\nwhole 80000\n"
                               "dir inner 0700 0\n";
static const char sent[] = "top ok\nempty ok\nbig ok\ninner ok\nno scp: no: refused\n";

typedef struct both {
    mem_pipe pipe;
    script s;
    journal j;
    nc_scp_source *source;
    nc_scp_sink *sink;
} both;

static void carry(both *b, size_t cut)
{
    uint8_t piece[65536];
    for (int idle = 0; idle < 3;) {
        size_t n = mem_way_take(&b->pipe.up, piece, cut);
        if (n > 0) {
            assert_int_equal(nc_scp_sink_input(b->sink, nc_span(piece, n)), NACRE_OK);
        }
        assert_int_equal(nc_scp_sink_flush(b->sink), NACRE_OK);
        size_t m = mem_way_take(&b->pipe.down, piece, cut);
        if (m > 0) {
            assert_int_equal(nc_scp_source_input(b->source, nc_span(piece, m)), NACRE_OK);
        }
        assert_int_equal(nc_scp_source_flush(b->source), NACRE_OK);
        idle = n + m > 0 ? 0 : idle + 1;
    }
}

static void copy(size_t window, size_t room, size_t cut, bool lend, bool pipelined)
{
    both *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    nc_scp_source_options so = {.pipelined = pipelined, .pad_max = UINT64_MAX};
    nc_scp_sink_options ko = {.recursive = true, .max_depth = 8};
    mem_pipe_init(&b->pipe, window, room, lend);
    b->s.things = tree;
    b->s.count = sizeof(tree) / sizeof(tree[0]);
    b->j.refuse = "no unwanted";
    b->j.full = "full";
    assert_int_equal(
        nc_scp_source_new(&b->source, &b->pipe.client_pipe, &script_source_ops, &b->s, &so),
        NACRE_OK);
    assert_int_equal(nc_scp_sink_new(&b->sink, &b->pipe.server_pipe, &journal_sink_ops, &b->j, &ko),
                     NACRE_OK);
    carry(b, cut);
    assert_true(nc_scp_source_done(b->source));
    assert_int_equal(nc_scp_sink_eof(b->sink), NACRE_OK);
    assert_memory_equal(b->j.log, received, sizeof(received) - 1);
    assert_memory_equal(b->s.log, sent, sizeof(sent) - 1);
    assert_non_null(strstr(b->j.log, "file short 0644 5000\nbroken 5000 bad\nleave\n"));
    assert_null(strstr(b->j.log, "unseen"));
    assert_null(strstr(b->j.log, "deeper"));
    assert_non_null(strstr(b->s.log, "full scp: full: full\n"));
    assert_non_null(strstr(b->j.log, "note scp: gone: No such file\nleave\nfile last 0644 1\n"));
    assert_non_null(strstr(b->s.log, "last ok\n"));
    assert_int_equal(nc_scp_source_failures(b->source), 5);
    nc_scp_source_free(b->source);
    nc_scp_sink_free(b->sink);
    mem_pipe_clear(&b->pipe);
    free(b);
}

static void test_every_width(void **state)
{
    static const size_t windows[] = {64, 1000, 65536, 2 * 1024 * 1024};
    static const size_t cuts[] = {1, 7, 4096, 65536};
    (void)state;
    for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
        for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
            for (int how = 0; how < 4; how++) {
                copy(windows[w], 1 + windows[w] / 3, cuts[c], (how & 1) != 0, (how & 2) != 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_width)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
