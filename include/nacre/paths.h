/*
 * nacre/paths.h - paths as text, remote or local: one step down, one step up, the same place elsewhere.
 * No call here asks a file system.
 */
#ifndef NACRE_PATHS_H
#define NACRE_PATHS_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Each step of a path from its beginning: "/a/b" gives "/", "/a", "/a/b"; "a/b" gives "a", "a/b". *state
 * begins as 0. Returns the length of the step within path, 0 at the end.
 */
NACRE_API size_t nacre_path_advance(const char *path, size_t *state);
/* The same from the end: "/a/b" gives "/a/b", "/a", "/". *state begins as 0. */
NACRE_API size_t nacre_path_retreat(const char *path, size_t *state);
/*
 * path below root: "/srv" and "/a/b" give "/srv/a/b". ".", empty and double steps vanish; a ".." that would
 * leave root is NACRE_INVALID_ARGUMENT, as is a result that does not fit (NACRE_TOO_LARGE). Always
 * zero-terminates.
 */
NACRE_API int nacre_path_reparent(const char *root, const char *path, char *out,
                                  size_t size) NACRE_MUST_CHECK;
/* dir + "/" + name where one is needed; an absolute name stands alone. NACRE_TOO_LARGE. */
NACRE_API int nacre_path_join(const char *dir, const char *name, char *out,
                              size_t size) NACRE_MUST_CHECK;
/* 0755 (octal) for 755 (decimal), as people write modes. NACRE_INVALID_ARGUMENT: a digit above 7. */
NACRE_API int nacre_mode_from_decimal(uint32_t decimal, uint32_t *mode) NACRE_MUST_CHECK;
NACRE_API uint32_t nacre_mode_to_decimal(uint32_t mode);

#ifdef __cplusplus
}
#endif
#endif
