#include "signer/draft.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/file.h"
#include "common/crypto/envelope.h"
#include "common/limits.h"
#include "common/tuf/document.h"

int
draft_path(const struct workspace *w, const char *role, char out[PATH_MAX], struct err *e)
{
	char relative[sizeof("drafts/.json") + ROLE_NAME_MAX];

	(void)snprintf(relative, sizeof(relative), "drafts/%s.json", role);
	return workspace_path(w, relative, out, e);
}

int
draft_read(const struct workspace *w, const char *role, json_t **body, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;
	json_t *found = NULL;
	char path[PATH_MAX];

	if (draft_path(w, role, path, e) < 0)
		return -1;
	if (file_exists(path)) {
		if (file_read_regular(path, &bytes, e) < 0 ||
			json_parse(buf_span(&bytes), path, &root, e) < 0)
			return -1;
		if (json_get_object(root, "signed", &found, e) < 0)
			return err_context(e, "%s", path);
	}
	*body = json_incref(found);
	return 0;
}

int
draft_write(const struct workspace *w, const char *role, json_t *body, struct err *e)
{
	AUTO_JSON json_t *root = envelope_new(body);
	AUTO_FREE char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	char path[PATH_MAX];

	if (!text)
		return err_sys(e, ENOMEM, "the draft of %s", role);
	if (workspace_path(w, "drafts", path, e) < 0 || dir_make(path, 0755, e) < 0 ||
		draft_path(w, role, path, e) < 0)
		return -1;
	return file_replace(path, 0644, span_str(text), e);
}

int
draft_forget(const struct workspace *w, const char *role, const json_t *body, struct err *e)
{
	AUTO_JSON json_t *draft = NULL;
	char path[PATH_MAX];

	if (draft_path(w, role, path, e) < 0)
		return -1;
	if (draft_read(w, role, &draft, NULL) < 0 || !draft || !json_equal(draft, body))
		return 0;
	return file_remove(path, e);
}
