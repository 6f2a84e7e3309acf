package mirror

import (
	"context"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// CheckDatabase returns ErrWrongDatabase when of, the Mirror of a [Receipt] or a
// [Plan], is known to be another database than this one: the customer's old mirror
// beside the new one, or a backup that was restored in its place. Undo and Apply
// check that themselves.
func (m *Mirror) CheckDatabase(ctx context.Context, of store.Identity) error {
	return m.checkDatabase(ctx, "document", of)
}

func (m *Mirror) checkDatabase(ctx context.Context, document string, of store.Identity) error {
	if of.ID == "" {
		return nil
	}
	is, err := store.IdentityOf(ctx, m.store)
	if err != nil {
		return err
	}
	return m.sameDatabase(document, of, is)
}

// sameDatabase refuses a document of another database than the mirror's.
func (m *Mirror) sameDatabase(document string, of, is store.Identity) error {
	if !m.another(of, is) {
		return nil
	}
	advice := fmt.Sprintf("open that one, or, when it is this one and was renamed or moved since, put %s into Options.FormerIDs", text.Name(of.ID))
	if document == "plan" {
		advice = "compare this one"
	}
	return wrongDatabase("the %s is of another database,%s, and not of%s: %s", document, Side{Identity: of}.where(" "), Side{Identity: is}.where(" "), advice)
}

// another reports whether a document is known to be of another database than the
// one that is here.
func (m *Mirror) another(of, is store.Identity) bool {
	return of.ID != "" && is.ID != "" && of.ID != is.ID && !slices.Contains(m.formerIDs, of.ID)
}
