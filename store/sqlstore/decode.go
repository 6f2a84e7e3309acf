package sqlstore

import (
	"database/sql/driver"

	"github.com/so-mirror/mirror/store"
)

var _ store.Decoder = (*Store)(nil)

// StoredForm implements store.Decoder.
func (s *Store) StoredForm() string { return s.d.StoredForm }

// Decoder implements store.Decoder.
func (s *Store) Decoder(t store.Type) func(stored driver.Value) driver.Value {
	if s.d.StoredForm == "" {
		return nil
	}
	decode := s.d.Codec(t).Decode
	if decode == nil {
		return nil
	}
	return func(stored driver.Value) driver.Value {
		v, _ := decode(stored) // it never fails: see Codec
		return v
	}
}
