/*
 * test_error_out.c - an error struct that was never initialised, or is left from another call, tells of
 * this call alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nacre/account.h"
#include "nacre/authorized_keys.h"
#include "nacre/client.h"
#include "nacre/key.h"
#include "nacre/known_hosts.h"
#include "nacre/local_files.h"
#include "nacre/loop.h"
#include "nacre/net.h"
#include "nacre/process.h"
#include "nacre/scp.h"
#include "nacre/server.h"
#include "nacre/sftp.h"
#include "nacre/sftp_server.h"
#include "nacre/ssh_config.h"
#include "nacre/sshd_config.h"

#include "base/mem.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static nacre_error err;

/* What a stack may hold: another status, text without an end. */
static nacre_error *rubbish(void)
{
    memset(&err, 0xA5, sizeof(err));
    return &err;
}

static void failed(int rc)
{
    assert_int_not_equal(rc, NACRE_OK);
    assert_int_equal(err.status, rc);
    assert_non_null(memchr(err.text, '\0', sizeof(err.text)));
    assert_true(err.text[0] != '\0' && (unsigned char)err.text[0] != 0xA5);
}

static void went_well(int rc)
{
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(err.status, NACRE_OK);
    assert_string_equal(err.text, "");
}

static void test_files(void **state)
{
    (void)state;
    nacre_local_files_options lo;
    nacre_local_files *files = NULL;
    nacre_local_files_options_init(&lo);
    went_well(nacre_local_files_new(&files, &lo, rubbish()));
    nacre_local_files_free(files);
    lo.root = "/nowhere/at/all";
    failed(nacre_local_files_new(&files, &lo, rubbish()));
    nacre_sftp_server *server = NULL;
    nacre_sftp_server_options so;
    memset(&so, 0, sizeof(so));
    failed(nacre_sftp_server_new(&server, NULL, nacre_local_files_ops(), NULL, &so, rubbish()));
    nacre_sftp *s = NULL;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(close(fd[1]), 0);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(null >= 0);
    failed(nacre_sftp_open_pipe(&s, fd[0], null, NULL, rubbish())); /* ends before VERSION */
    (void)close(fd[0]);
    (void)close(null);
}

static void test_client(void **state)
{
    (void)state;
    nacre_client *c = NULL;
    nacre_client_config cfg;
    nacre_client_config_init(&cfg);
    went_well(nacre_client_new(&c, &cfg, rubbish()));
    nacre_scp *scp = NULL;
    nacre_scp_options so;
    nacre_scp_options_init(&so);
    went_well(nacre_scp_new(&scp, c, &so, rubbish()));
    nacre_scp_free(scp);
    so.size = 1;
    failed(nacre_scp_new(&scp, c, &so, rubbish()));
    nacre_sftp *s = NULL;
    failed(nacre_sftp_open(&s, c, NULL, rubbish())); /* not logged in */
    nacre_client_free(c);
    failed(nacre_client_open(&c, &cfg, "127.0.0.1", 0, rubbish()));
    cfg.size = 0;
    failed(nacre_client_new(&c, &cfg, rubbish()));
}

static void test_text(void **state)
{
    (void)state;
    nacre_destination d;
    char out[64];
    nacre_ssh_tokens tokens;
    memset(&tokens, 0, sizeof(tokens));
    went_well(nacre_parse_destination("me@host", &d, rubbish()));
    failed(nacre_parse_destination("ssh://", &d, rubbish()));
    went_well(nacre_ssh_expand("a%%b", &tokens, false, out, sizeof(out), rubbish()));
    failed(nacre_ssh_expand("%?", &tokens, false, out, sizeof(out), rubbish()));
    failed(nacre_ssh_expand("abcdef", &tokens, false, out, 3, rubbish())); /* does not fit */
    nacre_key *key = NULL;
    failed(nacre_key_from_public_line(&key, NULL, nc_span_cstr("ssh-ed25519 !"), rubbish()));
    failed(nacre_key_from_file(&key, NULL, "/nowhere/at/all", (nacre_span){NULL, 0}, false,
                               rubbish()));
}

static void test_sshd_config(void **state)
{
    (void)state;
    nacre_sshd_config *c = NULL;
    assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
    went_well(nacre_sshd_config_line(c, "DenyUsers eve", rubbish()));
    failed(nacre_sshd_config_line(c, "NoSuchWord 1", rubbish()));
    failed(nacre_sshd_config_text(c, nc_span_cstr("Port x\n"), "text", rubbish()));
    failed(nacre_sshd_config_file(c, "/nowhere/at/all", rubbish()));
    went_well(nacre_sshd_config_finish(c, rubbish()));
    went_well(nacre_sshd_config_user_allowed(c, "ann", NULL, 0, "127.0.0.1", rubbish()));
    failed(nacre_sshd_config_user_allowed(c, "eve", NULL, 0, "127.0.0.1", rubbish()));
    nacre_sshd_config_free(c);
}

static void test_system(void **state)
{
    (void)state;
    nacre_account *account = NULL;
    failed(nacre_account_lookup(&account, NULL, "no such user, surely", rubbish()));
    failed(nacre_path_secure("/nowhere/at/all", -1, getuid(), NULL, rubbish()));
    nacre_spawn_options so;
    nacre_process p;
    nacre_spawn_options_init(&so);
    failed(nacre_spawn(&so, &p, rubbish())); /* no program */
    nacre_tty *tty = NULL;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    failed(nacre_tty_raw(&tty, null, rubbish()));
    (void)close(null);
}

static void test_net(void **state)
{
    (void)state;
    int fd = -1, got = -1;
    failed(nacre_net_listen("127.0.0.1", 0, 5, 0, &fd, NULL, rubbish()));
    failed(nacre_net_accept(-1, &got, rubbish()));
    failed(nacre_net_connect("127.0.0.1", 0, NULL, &fd, rubbish()));
    failed(nacre_net_connect_unix("/nowhere/at/all", &fd, rubbish()));
    failed(nacre_net_listen_unix("/nowhere/at/all", 0600, false, 1, &fd, rubbish()));
    went_well(nacre_net_listen("127.0.0.1", 0, 4, 0, &fd, NULL, rubbish()));
    (void)close(fd);
    nacre_loop *loop = NULL;
    went_well(nacre_loop_new(&loop, NULL, rubbish()));
    nacre_relay *relay = NULL;
    failed(nacre_relay_new(&relay, loop, NULL, NULL, NULL, rubbish()));
    nacre_loop_free(loop);
    nacre_server *server = NULL;
    failed(nacre_server_new(&server, NULL, rubbish()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),  cmocka_unit_test(test_client),
        cmocka_unit_test(test_text),   cmocka_unit_test(test_sshd_config),
        cmocka_unit_test(test_system), cmocka_unit_test(test_net),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
