package cycle

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// Handler serves the client's request to re-synchronize tables,
//
//	POST /api/v1/replication/{contextIdentifier}/resync
//
// with a body such as {"tables": ["crm7.person"]} and the token as Bearer. The
// vendor documents no answers, so these are invented: 202 when the tables were
// truncated, and the following Steps bring the snapshots; 401 for another token,
// also when the token is ""; 404 for another customer; 400 for a body or a table
// that Resync does not take; 500 when the database fails.
func (r *Replica) Handler(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+superoffice.ResyncPath("{contextIdentifier}"), func(w http.ResponseWriter, req *http.Request) {
		given := []byte(req.Header.Get("Authorization"))
		if token == "" || subtle.ConstantTimeCompare(given, []byte("Bearer "+token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		if store.FoldName(req.PathValue("contextIdentifier")) != store.FoldName(r.customer.contextID) {
			http.Error(w, "unknown context identifier", http.StatusNotFound)
			return
		}
		var body struct {
			Tables []string `json:"tables"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&body); err != nil {
			http.Error(w, "read body: "+err.Error(), http.StatusBadRequest)
			return
		}
		switch err := r.Resync(req.Context(), body.Tables...); {
		case err == nil:
			w.WriteHeader(http.StatusAccepted)
		case errors.Is(err, errBadTables):
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}
